package decode

import "testing"

func TestHTMLText(t *testing.T) {
	for in, want := range map[string]string{
		"<p>Hi &amp; <b>you</b></p><script>x</script>a<br>b < c": "Hi & you\na\nb < c",
		`Good <img class="emoji" alt=":tada:" src="x.png"> work`: "Good :tada: work",
		"<img alt=\"\U0001f600\" src=x><IMG ALT='b'/>":           "\U0001f600b",
		`<img src="cat.png" alt=""> <img title="a cat">`:         "a cat",
		`<img alt="a &lt; b">`:                                   "a < b",
		"a<br/>b<BR>c":                                           "a\nb\nc",
		"<ul><li>one</li><li>two</li></ul>":                      "one\ntwo",
		"<style>p{}</style><p title='>'>x</p>":                   "x",
		"<script>if (a<b) alert('</p>')</script>y":               "y",
		"no tags, 1 < 2 & 3 > 2":                                 "no tags, 1 < 2 & 3 > 2",
		"<!-- hidden -->shown":                                   "shown",
		"&#128512;&nbsp;x":                                       "\U0001f600\u00a0x",
		"<p":                                                     "", "": "",
	} {
		if got := htmlText(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}
