package endpoint

import (
	"crypto/tls"
	"net/http"
	"testing"
)

func TestOrigins(t *testing.T) {
	listed := &Origins{Listed: []string{"https://app.example.com"}, Cookies: true}
	open := &Origins{AnyToken: true}
	closed := &Origins{Cookies: true}
	star := &Origins{Listed: []string{"*"}}
	for _, c := range []struct {
		policy        *Origins
		origin        string
		read, cookies bool
	}{
		{listed, "https://app.example.com", true, true},
		{listed, "https://app.example.com.evil.test", false, false},
		{listed, "https://evil.test/https://app.example.com", false, false},
		{listed, "https://xapp.example.com", false, false},
		{listed, "http://app.example.com", false, false},
		{listed, "https://app.example.com:444", false, false},
		{listed, "HTTPS://app.example.com", false, false},
		{listed, "null", false, false},
		{listed, "", false, false},
		{open, "https://evil.test", true, false},
		{open, "null", false, false},
		{closed, "https://evil.test", false, false},
		{star, "https://evil.test", true, false},
		{star, "null", false, false},
	} {
		if read, cookies := c.policy.allowed(c.origin); read != c.read || cookies != c.cookies {
			t.Errorf("%+v, %q: %t, %t", c.policy, c.origin, read, cookies)
		}
	}
}

func TestForeignPages(t *testing.T) {
	policy := &Origins{Listed: []string{"https://app.example.com"}, Cookies: true}
	for _, c := range []struct {
		origin, site string
		tls, foreign bool
	}{
		{"", "", true, false},
		{"", "same-origin", true, false},
		{"", "none", true, false},
		{"", "cross-site", true, true},
		{"", "same-site", true, true},
		{"https://chat.test", "", true, false},
		{"https://CHAT.test", "", true, false},
		{"http://chat.test", "", true, true},
		{"http://chat.test", "", false, false},
		{"https://chat.test:444", "", true, true},
		{"https://chat.test.evil.test", "", true, true},
		{"https://app.example.com", "cross-site", true, false},
		{"null", "", true, true},
	} {
		r := target(t, http.MethodGet, "/flows")
		r.Host = "chat.test"
		if c.tls {
			r.TLS = &tls.ConnectionState{}
		}
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		if c.site != "" {
			r.Header.Set("Sec-Fetch-Site", c.site)
		}
		if got := policy.foreign(r); got != c.foreign {
			t.Errorf("%+v: %t", c, got)
		}
	}
}

func TestCORSConfig(t *testing.T) {
	for origin, ok := range map[string]bool{
		"https://a.example": true, "http://localhost:3000": true, "*": true, "a.example": false, "https://a.example/": false,
		"https://*.example": false, "https://A.example": false, "null": false, "": false, "ftp://a.example": false, "https://a.example?x": false,
	} {
		if err := (&CORS{Origins: []string{origin}}).Validate(false); (err == nil) != ok {
			t.Errorf("%q: %v", origin, err)
		}
	}
	if err := (&CORS{Origins: []string{"*"}}).Validate(true); err == nil {
		t.Error("* was taken together with cookies")
	}
}
