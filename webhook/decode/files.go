package decode

import (
	"strings"

	"github.com/valyala/fastjson"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// maxFiles is how many files of a message are kept.
const maxFiles = 32

// What apps call the parts of a file, in the order in which they are looked for.
var (
	fileNames = keysOf("name", "filename", "file_name", "title", "originalname", "body")
	filePaths = keysOf("permalink", "url", "href", "path", "link", "file_path", "url_private", "title_link", "src", "file.url")
	fileTypes = keysOf("mimetype", "mime_type", "content_type", "contentType", "info.mimetype", "type")
	fileSizes = keysOf("size", "file_size", "fileSize", "byte_size", "info.size")
)

func keysOf(names ...string) []Path {
	paths := make([]Path, len(names))
	for i, name := range names {
		path, err := ParsePath(name)
		if err != nil {
			panic(err)
		}
		paths[i] = path
	}
	return paths
}

// files are the files that a value names: texts that are addresses or ids, and
// objects with a name, an address, a type and a size in the words that apps use.
func (v Value) files() []event.File {
	var files []event.File
	v.elements(func(element Value) bool {
		var f event.File
		switch {
		case element.scalar():
			f.Path = strings.TrimSpace(element.text)
			if i := strings.LastIndexByte(f.Path, '/'); strings.Contains(f.Path, "://") && i >= 0 {
				f.Name, _, _ = strings.Cut(f.Path[i+1:], "?")
			}
		case element.kind == composite && element.node.Type() == fastjson.TypeObject:
			f = event.File{
				Name: element.first(fileNames), Path: element.first(filePaths), Type: element.first(fileTypes), Size: element.first(fileSizes),
			}
			if !strings.Contains(f.Type, "/") {
				f.Type = "" // Matrix and Slack have a type of another kind
			}
		}
		if f.Name != "" || f.Path != "" {
			files = append(files, f)
		}
		return len(files) < maxFiles
	})
	return files
}

// first is the text of the first of several places that has one.
func (v *Value) first(paths []Path) string {
	for _, p := range paths {
		if found, err := p.Find(v.node); err == nil && found.scalar() && found.text != "" && found.kind != boolean {
			return found.text
		}
	}
	return ""
}
