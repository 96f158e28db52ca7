package caddymodule

import (
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/seed-078801ba/sidestream/caddymodule/forwardauth"
)

// accessLog writes the access log's entry of requests that have a secret of ours
// where the log shows it: in the address or in a header. Caddy copies a request
// for its log before any handler sees it, so the entry cannot be changed; it is
// skipped, and the same one, with the secret masked, is written to the same
// loggers in its place. (The log of errors is Caddy's alone.) All other requests are Caddy's to log.
type accessLog struct {
	logger *zap.Logger
	server *caddyhttp.ServerLogConfig // nil: this server has no access log
	mask   forwardauth.Mask           // of every place that the configuration names
	leads  func(path string) bool     // to an address with a secret in its path, or holds a secret
}

// httpApp names the logger of the http app, below which access logs are.
type httpApp struct{}

func (httpApp) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http", New: func() caddy.Module { return httpApp{} }}
}

func newAccessLog(ctx caddy.Context, mask forwardauth.Mask, leads func(path string) bool) *accessLog {
	l := &accessLog{mask: mask, leads: leads}
	if server, _ := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); server != nil && server.Logs != nil {
		l.logger, l.server = ctx.Logger(httpApp{}).Named("log.access"), server.Logs
	}
	return l
}

// masked keeps a request's secrets out of the access log. The writer takes the
// place of w; the function must be called when the request was served.
func (l *accessLog) masked(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, func()) {
	return l.maskedAs(w, r, l.secretFree(r))
}

// maskedBy is masked for a request whose address has secrets that only its endpoint
// knows: mask hides them.
func (l *accessLog) maskedBy(w http.ResponseWriter, r *http.Request, mask func(uri string) string) (http.ResponseWriter, func()) {
	shown := l.secretFree(r)
	full := originalURI(r)
	if shown == "" {
		shown = full
	}
	if shown = mask(shown); shown == full && l.secretFree(r) == "" {
		shown = ""
	}
	return l.maskedAs(w, r, shown)
}

// maskedAs is masked with the address to show; empty if there is nothing to
// hide.
func (l *accessLog) maskedAs(w http.ResponseWriter, r *http.Request, uri string) (http.ResponseWriter, func()) {
	nothing := func() {}
	if l.server == nil || uri == "" {
		return w, nothing
	}
	if skip, ok := caddyhttp.GetVar(r.Context(), caddyhttp.LogSkipVar).(bool); ok && skip {
		return w, nothing
	}
	caddyhttp.SetVar(r.Context(), caddyhttp.LogSkipVar, true)
	start, counted := time.Now(), &countedWriter{ResponseWriter: w}
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &countedBody{r.Body, &counted.read}
	}
	return counted, func() { l.write(counted, r, uri, time.Since(start)) }
}

// secretFree is the request's address without its secrets, or empty if there is
// nothing to hide: in it, in the page that a browser was on, or in a header.
func (l *accessLog) secretFree(r *http.Request) string {
	full := originalURI(r)
	path, query, found := strings.Cut(full, "?")
	shown := l.mask.Path(withoutUser(path))
	if found {
		shown += "?" + l.mask.Query(query)
	}
	if shown == full && !slices.ContainsFunc(r.Header["Referer"], l.hidesReferer) && !l.hidesHeader(r) {
		return ""
	}
	return shown
}

// hidesHeader tells whether a request has a header that is hidden.
func (l *accessLog) hidesHeader(r *http.Request) bool {
	return slices.ContainsFunc(l.mask.Headers(), func(name string) bool { return len(r.Header[name]) > 0 })
}

// originalURI is the address as the log has it, whatever routes in front of us
// have made of it.
func originalURI(r *http.Request) string {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		return original.RequestURI
	}
	return r.RequestURI
}

// withoutUser takes user and password out of a request line in absolute form.
func withoutUser(target string) string {
	scheme, rest, absolute := strings.Cut(target, "://")
	authority, path, slash := strings.Cut(rest, "/")
	at := strings.LastIndexByte(authority, '@')
	if !absolute || strings.Contains(scheme, "/") || at < 0 {
		return target
	}
	target = scheme + "://" + forwardauth.Masked + authority[at:]
	if slash {
		target += "/" + path
	}
	return target
}

// hidesReferer tells whether something of a Referer is hidden.
func (l *accessLog) hidesReferer(referer string) bool { return referer != l.maskedReferer(referer) }

func (l *accessLog) maskedReferer(referer string) string {
	page, query, found := strings.Cut(referer, "?")
	if l.leads(referer) || l.mask.Path(page) != page {
		return forwardauth.Masked
	}
	page = withoutUser(page)
	if found {
		page += "?" + l.mask.Query(query)
	}
	return page
}

// passing is the address to show of a request that goes on to the next handler; empty
// if there is nothing to hide. The app takes a client's token in the same places as
// we do, so that it is hidden there as well. What else the app has in its addresses
// is the app's.
func (l *accessLog) passing(r *http.Request) string {
	if l.server == nil || !l.mask.Concerns(r) && !slices.ContainsFunc(r.Header["Referer"], l.leads) {
		return ""
	}
	return l.secretFree(r)
}

// write writes the entry as Caddy's server does.
func (l *accessLog) write(w *countedWriter, r *http.Request, uri string, duration time.Duration) {
	loggers := l.loggers(r)
	if len(loggers) == 0 {
		return
	}
	shown := r.Clone(r.Context())
	shown.RequestURI = uri
	for i, referer := range shown.Header["Referer"] {
		shown.Header["Referer"][i] = l.maskedReferer(referer)
	}
	for _, name := range l.mask.Headers() {
		if len(shown.Header[name]) > 0 {
			shown.Header.Set(name, forwardauth.Masked)
		}
	}
	level := zapcore.InfoLevel
	if w.status >= 500 {
		level = zapcore.ErrorLevel
	}
	for _, logger := range loggers {
		if c := logger.Check(level, "handled request"); c != nil {
			c.Write(
				zap.Object("request", caddyhttp.LoggableHTTPRequest{Request: shown, ShouldLogCredentials: l.server.ShouldLogCredentials}),
				zap.Int64("bytes_read", w.read.Load()),
				zap.String("user_id", userID(r)),
				zap.Duration("duration", duration),
				zap.Int("size", w.size),
				zap.Int("status", w.status),
				zap.Object("resp_headers", caddyhttp.LoggableHTTPHeader{Header: w.Header(), ShouldLogCredentials: l.server.ShouldLogCredentials}),
			)
		}
	}
}

// userID is whom a handler of Caddy has signed on.
func userID(r *http.Request) string {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return ""
	}
	id, _ := repl.GetString("http.auth.user.id")
	return id
}

// loggers finds the loggers that Caddy would have used for the request.
func (l *accessLog) loggers(r *http.Request) []*zap.Logger {
	var names []string
	if chosen, ok := caddyhttp.GetVar(r.Context(), caddyhttp.AccessLoggerNameVarKey).([]any); ok {
		for _, name := range chosen {
			if name, ok := name.(string); ok {
				names = append(names, name)
			}
		}
	} else {
		names = l.namesFor(r.Host)
	}
	loggers := make([]*zap.Logger, len(names))
	for i, name := range names {
		loggers[i] = l.logger
		if name != "" {
			loggers[i] = l.logger.Named(name)
		}
	}
	return loggers
}

// namesFor finds the names of a host's loggers, none if it is not logged.
func (l *accessLog) namesFor(hostport string) []string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	host = strings.ToLower(host)
	// A name of its own comes before a wildcard, as in Caddy.
	labels := strings.Split(host, ".")
	for i := -1; i < len(labels); i++ {
		if i >= 0 {
			labels[i] = "*"
		}
		if names, ok := l.server.LoggerNames[strings.Join(labels, ".")]; ok {
			return names
		}
	}
	for _, skipped := range l.server.SkipHosts {
		if matchesHost(host, strings.ToLower(skipped)) {
			return nil
		}
	}
	if l.server.SkipUnmappedHosts {
		return nil
	}
	return []string{l.server.DefaultLoggerName}
}

// matchesHost compares a host with a name whose labels may be asterisks.
func matchesHost(host, pattern string) bool {
	labels, wanted := strings.Split(host, "."), strings.Split(pattern, ".")
	if len(labels) != len(wanted) {
		return false
	}
	for i := range labels {
		if wanted[i] != "*" && wanted[i] != labels[i] {
			return false
		}
	}
	return true
}

// countedWriter sees what a handler answers.
type countedWriter struct {
	http.ResponseWriter
	status, size int
	read         atomic.Int64 // of the request's body
}

// countedBody counts what is read of a request's body, in bytes.
type countedBody struct {
	io.ReadCloser
	read *atomic.Int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read.Add(int64(n))
	return n, err
}

func (w *countedWriter) WriteHeader(status int) {
	if w.status < 200 { // what came before was no answer yet, or a switch to a WebSocket
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *countedWriter) Write(b []byte) (int, error) {
	if w.status < 200 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.size += n
	return n, err
}

// Unwrap lets http.ResponseController find the writer below.
func (w *countedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
