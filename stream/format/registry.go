package format

// formats are all formats, in the order in which they are documented.
var formats = [...]Format{CampfireJSON{}, CampfireXML{}, FlowdockJSON{}, SSE{}}

// ByName finds a format by the name that it has in configuration.
func ByName(name string) (Format, bool) {
	for _, f := range formats {
		if f.Name() == name {
			return f, true
		}
	}
	return nil, false
}

// Names lists the names that ByName knows, for errors that say what would
// have been right.
func Names() []string {
	names := make([]string, len(formats))
	for i, f := range formats {
		names[i] = f.Name()
	}
	return names
}
