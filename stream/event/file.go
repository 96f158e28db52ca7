package event

import (
	"strconv"
	"strings"

	"github.com/valyala/fastjson"
)

// File is something that is attached to a message. What is not known is empty.
type File struct {
	Name string // for people
	Path string // its address, or a path below the backend's
	Type string // its media type
	Size string // in bytes, a JSON number
}

// Line is the file as a line of text, for clients whose messages have no other
// place for it.
func (f File) Line() string {
	return strings.Join(strings.Fields(f.Name+" "+f.Path), " ")
}

// AppendFiles appends files as a JSON array, in the words of Flowdock's files
// (flowdock/api-docs docs/message-types.md). It is the Payload of a mapped event
// that has files.
func AppendFiles(dst []byte, files []File) []byte {
	var arena fastjson.Arena
	list := arena.NewArray()
	for i, f := range files {
		o := arena.NewObject()
		for _, text := range []struct{ key, text string }{{"file_name", f.Name}, {"path", f.Path}, {"content_type", f.Type}} {
			if text.text != "" {
				o.Set(text.key, arena.NewString(text.text))
			}
		}
		if _, err := strconv.ParseUint(f.Size, 10, 63); err == nil {
			o.Set("file_size", arena.NewNumberString(f.Size))
		}
		list.SetArrayItem(i, o)
	}
	return list.MarshalTo(dst)
}

// Files are the files of a mapped event.
func (e *Event) Files() []File {
	if e.Shape != Mapped || len(e.Payload) == 0 {
		return nil
	}
	v, err := fastjson.ParseBytes(e.Payload)
	if err != nil {
		return nil
	}
	var files []File
	for _, o := range v.GetArray() {
		f := File{
			Name: string(o.GetStringBytes("file_name")), Path: string(o.GetStringBytes("path")),
			Type: string(o.GetStringBytes("content_type")),
		}
		if size := o.Get("file_size"); size != nil {
			f.Size = size.String()
		}
		files = append(files, f)
	}
	return files
}

// TextWithFiles is the text of a message with a line for each of its files.
func (e *Event) TextWithFiles() string {
	text := e.Body
	for _, f := range e.Files() {
		if line := f.Line(); line != "" {
			if text != "" {
				text += "\n"
			}
			text += line
		}
	}
	return text
}
