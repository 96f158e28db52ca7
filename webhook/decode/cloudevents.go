package decode

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"unicode/utf8"
)

var (
	errCloudEventsFormat  = unsupported("a CloudEvents format other than JSON")
	errCloudEventsMode    = malformed("neither a structured CloudEvent nor a ce-specversion header")
	errCloudEventsName    = malformed("a CloudEvents attribute with a forbidden name")
	errCloudEventsValue   = malformed("a CloudEvents attribute with a malformed value")
	errCloudEventsMissing = malformed("a CloudEvent without specversion 1.0, id, source or type")
)

// readCloudEvents reads the three content modes of the CloudEvents HTTP
// binding. Whatever the mode, expressions see the event in its structured form.
func readCloudEvents(s *Payload, mediaType string, body []byte) error {
	s.cloudEvent = true
	switch {
	// "application/cloudevents" is a prefix of the batch type too.
	case mediaType == "application/cloudevents-batch+json", mediaType == "application/cloudevents+json":
		return s.setDocument(body)
	case strings.HasPrefix(mediaType, "application/cloudevents"):
		return errCloudEventsFormat
	case len(s.In.Header["Ce-Specversion"]) == 0:
		return errCloudEventsMode
	}
	doc, err := structured(s.In.Header, mediaType, body)
	if err != nil {
		return err
	}
	// The body adds a level to the depth that was checked.
	return s.setDocument(doc)
}

// structured writes a binary event in the structured form.
func structured(h map[string][]string, mediaType string, body []byte) ([]byte, error) {
	var names []string
	for name := range h {
		if len(name) > 3 && strings.EqualFold(name[:3], "ce-") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	doc := []byte{'{'}
	for i, name := range names {
		attribute := strings.ToLower(name[3:])
		if strings.Trim(attribute, "abcdefghijklmnopqrstuvwxyz0123456789") != "" || attribute == "data" || attribute == "datacontenttype" {
			return nil, errCloudEventsName
		}
		if len(h[name]) != 1 {
			return nil, errCloudEventsValue
		}
		v, ok := decodeAttribute(h[name][0])
		if !ok {
			return nil, errCloudEventsValue
		}
		if i > 0 {
			doc = append(doc, ',')
		}
		doc = AppendJSONString(doc, attribute)
		doc = append(doc, ':')
		doc = AppendJSONString(doc, v)
	}
	if mediaType != "" {
		doc = append(doc, `,"datacontenttype":`...)
		doc = AppendJSONString(doc, mediaType)
	}
	switch {
	case len(bytes.TrimSpace(body)) == 0:
	case isJSON(mediaType), mediaType == "" && isJSONText(body):
		if _, err := checkJSON(body); err != nil {
			return nil, err
		}
		doc = append(append(doc, `,"data":`...), body...)
	case utf8.Valid(body):
		doc = AppendJSONString(append(doc, `,"data":`...), string(body))
	default:
		doc = append(doc, `,"data_base64":"`...)
		doc = append(base64.StdEncoding.AppendEncode(doc, body), '"')
	}
	return append(doc, '}'), nil
}

func isJSONText(b []byte) bool {
	_, err := checkJSON(b)
	return err == nil
}

// decodeAttribute takes the percent-encoding off a header's value, once. What
// is not UTF-8 afterwards, overlong forms included, is refused.
func decodeAttribute(s string) (string, bool) {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		s = unquote(s[1 : len(s)-1])
	}
	if strings.IndexByte(s, '%') >= 0 {
		b := make([]byte, 0, len(s))
		for i := 0; i < len(s); i++ {
			if s[i] != '%' {
				b = append(b, s[i])
				continue
			}
			if len(s)-i < 3 {
				return "", false
			}
			c, ok := hex4([]byte{'0', '0', s[i+1], s[i+2]}, 0)
			if !ok {
				return "", false
			}
			b = append(b, byte(c))
			i += 2
		}
		s = string(b)
	}
	return s, utf8.ValidString(s)
}

// unquote takes the backslashes off the inside of a quoted string.
func unquote(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b = append(b, s[i])
	}
	return string(b)
}

// checkCloudEvent tells whether the item has what every CloudEvent must have.
func checkCloudEvent(s *Payload) error {
	for _, name := range []string{"specversion", "id", "source", "type"} {
		v, err := s.JSON("item", Path{{key: name, index: -1}})
		if err != nil {
			return err
		}
		if v.kind != text || v.text == "" || (name == "specversion" && v.text != "1.0") {
			return errCloudEventsMissing
		}
	}
	return nil
}
