package decode

import (
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// blocks are the elements that end a line of text.
var blocks = []atom.Atom{
	atom.P, atom.Div, atom.Li, atom.Tr, atom.Pre, atom.Blockquote, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6,
}

// hidden are the elements whose content is no text.
var hidden = []atom.Atom{atom.Script, atom.Style, atom.Title, atom.Template, atom.Noscript, atom.Iframe}

// htmlText is the text of a piece of HTML as a chat message: no tags, no scripts,
// a line break where a block ends, and of a picture, as emoji are, what it says of
// itself. The result is plain text; whoever puts it into a page escapes it.
func htmlText(s string) string {
	var b strings.Builder
	skipped := atom.Atom(0) // the element whose content is passed over
	z := html.NewTokenizer(strings.NewReader(s))
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			return strings.TrimSpace(b.String()) // the end: a reader of a string has no other error
		}
		token := z.Token()
		switch {
		case skipped != 0:
			if kind == html.EndTagToken && token.DataAtom == skipped {
				skipped = 0
			}
		case kind == html.TextToken:
			b.WriteString(token.Data)
		case kind == html.StartTagToken && slices.Contains(hidden, token.DataAtom):
			skipped = token.DataAtom
		case kind != html.EndTagToken && token.DataAtom == atom.Br, kind == html.EndTagToken && slices.Contains(blocks, token.DataAtom):
			b.WriteByte('\n')
		case kind != html.EndTagToken && token.DataAtom == atom.Img:
			b.WriteString(describe(&token))
		}
	}
}

// describe is what a picture says of itself.
func describe(img *html.Token) string {
	for _, name := range []string{"alt", "title", "data-mx-emoticon"} {
		for _, a := range img.Attr {
			if text := strings.TrimSpace(a.Val); a.Key == name && text != "" {
				return text
			}
		}
	}
	return ""
}
