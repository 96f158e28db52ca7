package forwardauth

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// A secret in a query is hidden also where the query is written in a way that no
// reader should take, because some may.
func TestMaskOfOddQueries(t *testing.T) {
	var m Mask
	m.AddQuery("k")
	for query, want := range map[string]string{
		"access_token=s3cr3t&x=1":                  "access_token=REDACTED&x=1",
		"x=1&K=s3cr3t":                             "x=1&K=REDACTED",
		"acces%73_token=s3cr3t":                    "acces%73_token=REDACTED",
		"access_token[]=s3cr3t":                    "access_token[]=REDACTED",
		"x=1;access_token=s3cr3t&y=2":              "REDACTED&y=2",
		"access_token%3Ds3cr3t":                    "REDACTED",
		"access_token%3ds3cr3t":                    "REDACTED",
		"x=1%26access_token=s3cr3t":                "REDACTED",
		"x=1%2526access_token%253Ds3cr3t":          "REDACTED",
		"?access_token=s3cr3t":                     "REDACTED",
		"amp;access_token=s3cr3t":                  "REDACTED",
		"%zz&access_token=s3cr3t":                  "%zz&access_token=REDACTED",
		"access_token%zz=s3cr3t":                   "access_token%zz=s3cr3t", // no reader takes it for the token
		"%zzaccess_token=s3cr3t":                   "%zzaccess_token=s3cr3t",
		"return_to=%2Fr%3Faccess_token%3Ds3cr3t":   "REDACTED",
		"access_token+=s3cr3t":                     "access_token+=REDACTED",
		"x={\"access_token\":\"s3cr3t\"}":          "x={\"access_token\":\"s3cr3t\"}",
		"x=access_token:s3cr3t":                    "REDACTED",
		"q=how+to+use+an+access_token":             "q=how+to+use+an+access_token",
		"q=tokens=5&task=7&kk=1&monkey[k2]=3":      "q=tokens=5&task=7&kk=1&monkey[k2]=3",
		"":                                         "",
		"last_event_id=0123.1.ab&filter=a%2Fb%2Cc": "last_event_id=0123.1.ab&filter=a%2Fb%2Cc",
	} {
		if got := m.Query(query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
		masked := strings.Contains(want, Masked)
		r := &http.Request{URL: &url.URL{Path: "/x", RawQuery: query}, Header: http.Header{}}
		if got := m.Concerns(r); got != masked {
			t.Errorf("%s concerns us: %t", query, got)
		}
		r = &http.Request{URL: &url.URL{Path: "/x"}, Header: http.Header{"Referer": {"https://page.test/?" + query}}}
		if got := m.Concerns(r); got != masked {
			t.Errorf("a page with %s concerns us: %t", query, got)
		}
	}
	for path, want := range map[string]string{
		"/room/1/live.json%3Faccess_token=s3cr3t":   "/REDACTED",
		"/room/1/live.json%253Faccess_token=s3cr3t": "/REDACTED",
		"/room/1/live.json;k=s3cr3t":                "/REDACTED",
		"/room/access_token/live.json":              "/room/access_token/live.json",
		"/room/k":                                   "/room/k",
	} {
		if got := m.Path(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func FuzzMask(f *testing.F) {
	for _, seed := range []string{"access_token=x", "a=1;k=2", "%zz", "k%5b%5d=1&k[=2", "access_token access_token [=x", "k:k=k"} {
		f.Add(seed)
	}
	var m Mask
	m.AddQuery("k")
	f.Fuzz(func(t *testing.T, query string) {
		masked := m.Query(query)
		if again := m.Query(masked); m.Query(again) != again {
			t.Errorf("%q becomes %q, and then %q", query, masked, again)
		}
		values, _ := url.ParseQuery(masked)
		for _, name := range []string{"access_token", "k"} {
			for _, value := range values[name] {
				if value != Masked {
					t.Errorf("%q shows %q", query, value)
				}
			}
		}
	})
}
