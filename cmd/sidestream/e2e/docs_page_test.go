package e2e

import (
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"
)

// The pages are part of the product: what they tell people to write and to type
// must work. Fenced blocks say in their first words what they are:
//
//	caddyfile                  a whole Caddyfile
//	caddyfile site             what stands in a site
//	caddyfile sidestream       what stands in the directive
//	sh                         commands, one a line
//
// Others (text, json, http, js, xml, yaml) are only shown.

// root is the top folder of the repository, seen from this one.
const root = "../../.."

// page is a file of documentation.
type page struct {
	name     string // path from the root
	blocks   []block
	sections []section
	links    []string
	// code is all that stands as code in the text, a line each.
	code string
}

// block is a fenced block of a page.
type block struct {
	page, info, text string
	line             int
}

// section is a heading with what stands below it, up to the next heading.
type section struct {
	heading string
	// defined are the words that the section explains: the first words of the
	// code in the first column of its tables.
	defined []string
}

// pages reads every page but those of test data.
func pages(t *testing.T) []page {
	t.Helper()
	var found []page
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == "node_modules" || d.Name() == ".git"):
			return fs.SkipDir
		case filepath.Ext(path) != ".md":
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		found = append(found, readPage(filepath.ToSlash(name), source))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 8 {
		t.Fatalf("only %d pages", len(found))
	}
	return found
}

// pageNamed finds one of the pages.
func pageNamed(t *testing.T, name string) page {
	t.Helper()
	all := pages(t)
	i := slices.IndexFunc(all, func(p page) bool { return p.name == name })
	if i < 0 {
		t.Fatalf("there is no page %s", name)
	}
	return all[i]
}

// presetLine is a preset in a Caddyfile: to show one is to name it.
var presetLine = regexp.MustCompile(`(?m)^\s*preset (\w+)( path)?$`)

func readPage(name string, source []byte) page {
	p := page{name: name, sections: []section{{}}}
	document := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(text.NewReader(source))
	_ = ast.Walk(document, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			p.sections = append(p.sections, section{heading: plainText(n, source)})
		case *ast.CodeSpan:
			p.code += plainText(n, source) + "\n"
		case *ast.Link:
			p.links = append(p.links, string(n.Destination))
		case *ast.CodeBlock, *ast.FencedCodeBlock:
			b := readBlock(name, n, source)
			p.blocks = append(p.blocks, b)
			for _, m := range presetLine.FindAllStringSubmatch(b.text, -1) {
				p.code += m[1] + "\n"
			}
		case *extast.TableCell:
			if n.PreviousSibling() == nil && n.Parent().Kind() == extast.KindTableRow {
				s := &p.sections[len(p.sections)-1]
				s.defined = append(s.defined, codeWords(n, source)...)
			}
		}
		return ast.WalkContinue, nil
	})
	return p
}

func readBlock(page string, n ast.Node, source []byte) block {
	b := block{page: page}
	if fenced, ok := n.(*ast.FencedCodeBlock); ok && fenced.Info != nil {
		b.info = string(fenced.Info.Segment.Value(source))
	}
	lines := n.Lines()
	for i := range lines.Len() {
		segment := lines.At(i)
		if i == 0 {
			b.line = 1 + strings.Count(string(source[:segment.Start]), "\n")
		}
		b.text += string(segment.Value(source))
	}
	return b
}

func plainText(n ast.Node, source []byte) string {
	var b strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if t, ok := n.(*ast.Text); ok && entering {
			b.Write(t.Segment.Value(source))
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

// codeWords are the first words of each piece of code in a node.
func codeWords(n ast.Node, source []byte) []string {
	var found []string
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if code, ok := n.(*ast.CodeSpan); ok && entering {
			text := plainText(code, source)
			if i := strings.IndexAny(text, " :<,"); i >= 0 {
				text = text[:i]
			}
			found = append(found, strings.Trim(text, "{}"))
		}
		return ast.WalkContinue, nil
	})
	return found
}

// anchor is how GitHub links to a heading.
func anchor(heading string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(heading) {
		switch {
		case r == ' ':
			b.WriteByte('-')
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			b.WriteRune(r)
		}
	}
	return b.String()
}

// No link between the pages, or from a page to a file, is dead.
func TestDocsLinks(t *testing.T) {
	all := pages(t)
	for _, p := range all {
		for _, link := range p.links {
			if strings.Contains(link, "://") {
				continue
			}
			path, fragment, _ := strings.Cut(link, "#")
			target := p.name
			if path != "" {
				path, err := url.PathUnescape(path)
				if err != nil {
					t.Errorf("%s: the link %s: %v", p.name, link, err)
					continue
				}
				target = filepath.ToSlash(filepath.Join(filepath.Dir(p.name), path))
				if _, err := os.Stat(filepath.Join(root, target)); err != nil {
					t.Errorf("%s: the link %s leads nowhere", p.name, link)
					continue
				}
			}
			if fragment == "" {
				continue
			}
			i := slices.IndexFunc(all, func(p page) bool { return p.name == target })
			if i < 0 || !slices.ContainsFunc(all[i].sections, func(s section) bool { return anchor(s.heading) == fragment }) {
				t.Errorf("%s: the link %s: %s has no such heading", p.name, link, target)
			}
		}
	}
}

// Every block says what it is, so that none escapes the tests.
func TestDocsBlocksAreLabelled(t *testing.T) {
	known := []string{"caddyfile", "caddyfile site", "caddyfile sidestream", "sh", "text", "json", "http", "js", "xml", "yaml"}
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			if !slices.Contains(known, b.info) {
				t.Errorf("%s:%d: a block that says it is %q; it should say one of %q", p.name, b.line, b.info, known)
			}
		}
	}
}

// What a page names in passing is there: targets of make, packages and tests.
func TestDocsNames(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]int{}
	for _, p := range pages(t) {
		source, err := os.ReadFile(filepath.Join(root, p.name))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("`make ([a-z]+)|(?m:^)make ([a-z]+)").FindAllStringSubmatch(string(source), -1) {
			named["make"]++
			if target := m[1] + m[2]; !regexp.MustCompile("(?m)^" + target + ":").Match(makefile) {
				t.Errorf("%s: the Makefile has no %s", p.name, target)
			}
		}
		for _, m := range regexp.MustCompile(`go (?:test|run|build)(?: -[a-z]+(?:[ =]\w+)?)* (\./[a-z0-9/]+)`).FindAllStringSubmatch(string(source), -1) {
			named["package"]++
			if files, _ := filepath.Glob(filepath.Join(root, m[1], "*.go")); len(files) == 0 {
				t.Errorf("%s: there is no package %s", p.name, m[1])
			}
		}
		for _, m := range regexp.MustCompile(`\bTest[A-Z]\w+`).FindAllString(string(source), -1) {
			named["test"]++
			if !testExists(t, m) {
				t.Errorf("%s: there is no test %s", p.name, m)
			}
		}
	}
	for _, p := range pages(t) {
		for _, code := range strings.Fields(p.code) {
			if regexp.MustCompile(`^[a-z]+(/[a-z0-9]+)*/[a-z_]+\.go$`).MatchString(code) {
				named["file"]++
				if _, err := os.Stat(filepath.Join(root, code)); err != nil {
					t.Errorf("%s: there is no file %s", p.name, code)
				}
			}
		}
	}
	for _, kind := range []string{"make", "package", "test", "file"} {
		if named[kind] == 0 {
			t.Errorf("no page names a %s: this test finds nothing", kind)
		}
	}
}

// The chapter on the layout has every package, and no other.
func TestDocsLayout(t *testing.T) {
	var documented []string
	for _, s := range pageNamed(t, "CONTRIBUTING.md").sections {
		if s.heading == "Layout" {
			documented = s.defined
		}
	}
	out, err := exec.Command("go", "list", module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := strings.Fields(strings.ReplaceAll(string(out), module, ""))
	for _, p := range packages {
		if !slices.Contains(documented, p) {
			t.Errorf("CONTRIBUTING.md does not say what the package %s is for", p)
		}
	}
	for _, p := range documented {
		if !slices.Contains(packages, p) {
			t.Errorf("CONTRIBUTING.md has a package %s, and there is none", p)
		}
	}
}

// The changelog is for users: it has the headings that they know, each once in a
// version.
func TestChangelog(t *testing.T) {
	known := []string{"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
	var seen []string
	for _, s := range pageNamed(t, "CHANGELOG.md").sections {
		switch {
		case s.heading == "" || s.heading == "Changelog":
		case s.heading == "Unreleased" || regexp.MustCompile(`^\d+\.\d+\.\d+ `).MatchString(s.heading):
			seen = nil
		case !slices.Contains(known, s.heading), slices.Contains(seen, s.heading):
			t.Errorf("%q is not one of %q, or stands there twice", s.heading, known)
		}
		seen = append(seen, s.heading)
	}
}

// testExists tells whether a test's name begins so.
func testExists(t *testing.T, name string) bool {
	t.Helper()
	found := false
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || found || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		found = strings.Contains(string(source), "\nfunc "+name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
