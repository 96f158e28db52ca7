package redis

import "strings"

// captures are what the mapping knows of a Redis channel as {match.NAME}; false
// if the channel is passed over.
func (p *plan) captures(channel string) (map[string]string, bool) {
	out := map[string]string{}
	if p.OnDemand {
		for _, template := range p.Subscribe {
			if name, ok := cutTemplate(template, channel); ok {
				out["channel"] = name
				break
			}
		}
	}
	if p.match == nil {
		return out, true
	}
	found := p.match.FindStringSubmatchIndex(channel)
	if found == nil {
		return nil, false
	}
	for i, name := range p.match.SubexpNames() {
		if name != "" && found[2*i] >= 0 {
			out[name] = channel[found[2*i]:found[2*i+1]]
		}
	}
	return out, true
}

// cutTemplate finds what stands in a name where the template has {channel}. If
// it stands there more than once, all must be the same.
func cutTemplate(template, name string) (string, bool) {
	count := strings.Count(template, channelHole)
	size := len(name) - (len(template) - count*len(channelHole))
	if count == 0 || size < 0 || size%count != 0 {
		return "", false
	}
	start := strings.Index(template, channelHole)
	if start+size/count > len(name) {
		return "", false
	}
	channel := name[start : start+size/count]
	if strings.ReplaceAll(template, channelHole, channel) != name {
		return "", false
	}
	return channel, true
}
