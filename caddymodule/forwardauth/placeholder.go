package forwardauth

import (
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/seed-078801ba/sidestream/caddymodule/suggest"
)

// Caddy's placeholders of a request, without the http. before them. One that Caddy
// does not know would have no value for anybody, and so nobody could listen.
// (modules/caddyhttp/replacer.go)
var (
	placeholderNames = []string{
		"request.method", "request.scheme", "request.proto", "request.proto_name", "request.port",
		"request.local", "request.local.host", "request.local.port", "request.remote", "request.remote.host", "request.remote.port",
		"request.uri", "request.uri_escaped", "request.uri.path", "request.uri.path_escaped", "request.uri.path.file", "request.uri.path.dir",
		"request.uri.path.file.base", "request.uri.path.file.ext", "request.uri.query", "request.uri.query_escaped", "request.uri.prefixed_query",
		"request.duration", "request.duration_ms", "request.uuid", "request.body", "request.body_base64",
		"request.orig_method", "request.orig_uri", "request.orig_uri.path", "request.orig_uri.path.file", "request.orig_uri.path.file_escaped",
		"request.orig_uri.path.dir", "request.orig_uri.query", "request.orig_uri.prefixed_query",
		"request.tls.version", "request.tls.cipher_suite", "request.tls.resumed", "request.tls.proto", "request.tls.proto_mutual", "request.tls.ech",
		"request.tls.client.fingerprint", "request.tls.client.public_key", "request.tls.client.public_key_sha256", "request.tls.client.issuer",
		"request.tls.client.serial", "request.tls.client.subject", "request.tls.client.certificate_pem", "request.tls.client.certificate_der_base64",
		"shutting_down", "time_until_shutdown",
	}
	// placeholderGroups are followed by a name of somebody's own.
	placeholderGroups = []string{
		"request.header.", "request.cookie.", "request.uri.query.", "request.uri.path.", "request.orig_uri.path.", "request.remote.host/",
		"request.tls.client.san.dns_names", "request.tls.client.san.emails", "request.tls.client.san.ips", "request.tls.client.san.uris",
		"auth.user.", "vars.", "regexp.", "matchers.", "handlers.",
	}
	// groupName is the word below which a module sets its placeholders.
	groupName = regexp.MustCompile(`^[a-z_]+\.`)
)

// checkPlaceholder refuses a placeholder that Caddy does not know. What a module of
// somebody else sets cannot be known: only what looks like one of Caddy's own is
// taken for a mistake there.
func checkPlaceholder(name string) error {
	rest := strings.TrimPrefix(name, "http.")
	lower := strings.ToLower(rest)
	if slices.Contains(placeholderNames, lower) || slices.ContainsFunc(placeholderGroups, func(group string) bool {
		return strings.HasPrefix(lower, group) && (len(lower) > len(group) || !strings.HasSuffix(group, "."))
	}) {
		return nil
	}
	family := groupName.FindString(rest)
	known := []string{"request.", "auth.", "vars.", "regexp.", "matchers.", "handlers."}
	switch {
	case family == "request.", family == "auth." && !strings.HasSuffix(rest, ".error"):
		return errors.New("Caddy has no placeholder of that name, so that nobody could listen" + nearest(rest))
	case slices.Contains(known, family):
		return nil
	}
	if near := suggest.Among(strings.TrimSuffix(family, "."), []string{"request", "auth", "vars", "regexp", "matchers"}); strings.HasPrefix(near, "; did you mean ") {
		return errors.New("Caddy has no placeholder of that name, so that nobody could listen" + nearest(rest))
	}
	return nil
}

// nearest says which placeholder was probably meant; nothing if none is near.
func nearest(rest string) string {
	// Of one with a name of its own, only what stands before that is compared.
	if parts := strings.Split(rest, "."); len(parts) > 1 {
		for _, group := range placeholderGroups {
			n := strings.Count(group, ".")
			if len(parts) <= n || !strings.HasSuffix(group, ".") {
				continue
			}
			head := strings.Join(parts[:n], ".")
			if said := suggest.Among(head, []string{strings.TrimSuffix(group, ".")}); strings.HasPrefix(said, "; did you mean") {
				return "; did you mean {http." + group + strings.Join(parts[n:], ".") + "}?"
			}
		}
	}
	said := suggest.Among(rest, placeholderNames)
	if near, ok := strings.CutPrefix(said, "; did you mean "); ok {
		return "; did you mean {http." + strings.TrimSuffix(near, "?") + "}?"
	}
	return "; Caddy's documentation lists them under HTTP placeholders"
}

// IdentityHeaders are the headers of a client's request that the question takes for
// whose it is, by their canonical names: all that look neither like a secret, which
// the app checks, nor like what every browser sends. A client could set them itself
// where nothing before Sidestream does.
func (a *Auth) IdentityHeaders() []string {
	var names []string
	for _, name := range a.placeholders {
		if header, ok := strings.CutPrefix(name, "http.request.header."); ok && !isHarmless(header) {
			names = append(names, http.CanonicalHeaderKey(header))
		}
	}
	return names
}

var (
	// secretLike are headers that prove something.
	secretLike = regexp.MustCompile(`(?i)token|secret|key|session|csrf|xsrf|signature|password|^(proxy-)?authorization$|^cookie$|^x-auth$`)
	// whoLike are headers that say who somebody is, even if they look like a secret.
	whoLike = regexp.MustCompile(`(?i)user|mail|login|account|subject|name|group|role|identity|person|tenant|client`)
	// usual are headers of browsers and proxies.
	usual = regexp.MustCompile(`(?i)^(accept(-.*)?|user-agent|referer|origin|dnt|sec-.*|content-.*|x-request-id|traceparent|tracestate|last-event-id|cache-control|pragma|x-requested-with|x-forwarded-(for|proto|port))$`)
)

func isHarmless(header string) bool {
	return usual.MatchString(header) || secretLike.MatchString(header) && !whoLike.MatchString(header)
}
