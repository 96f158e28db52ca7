package redisconn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/redis/rueidis"
)

// Cause is why a Redis cannot be used. Its text names the address and the cause,
// and is the same for the same cause, so that whoever logs it can tell news from
// repetition; it holds no password. Is and As find what it wraps.
type Cause struct {
	Address string
	Text    string
	err     error
}

func (c *Cause) Error() string { return c.Address + ": " + c.Text }

// Is looks into what went wrong. It is no Unwrap: the text of what is wrapped may
// hold a password.
func (c *Cause) Is(target error) bool { return errors.Is(c.err, target) }

// Explain is the cause that an error of a call or a connection has; nil for nil.
func (a *Address) Explain(err error) *Cause {
	if err == nil {
		return nil
	}
	var known *Cause
	if errors.As(err, &known) {
		return known
	}
	return &Cause{Address: a.String(), Text: a.explain(err), err: err}
}

// slowError is a server that took longer for something than it may.
type slowError struct{ doing string }

func (e *slowError) Error() string { return "no answer in time while " + e.doing }

func (a *Address) explain(err error) string {
	var (
		dns       *net.DNSError
		record    tls.RecordHeaderError
		unknown   x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
		slow      *slowError
		redisSaid *rueidis.RedisError
	)
	switch {
	case errors.As(err, &redisSaid):
		return a.explainReply(err, redisSaid)
	case errors.As(err, &dns):
		if dns.IsNotFound {
			return fmt.Sprintf("the host %q is not known", dns.Name)
		}
		return fmt.Sprintf("the host %q cannot be looked up", dns.Name)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused: nothing listens there"
	case errors.Is(err, syscall.ENOENT):
		return "there is no such socket"
	case errors.Is(err, os.ErrPermission):
		return "the socket may not be opened"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "the host cannot be reached"
	case errors.As(err, &record):
		return "the server does not speak TLS; write redis:// instead of rediss:// if it is not to"
	case errors.As(err, &unknown), errors.As(err, &host), errors.As(err, &invalid):
		return "TLS: " + strings.TrimPrefix(a.scrub(err.Error()), "TLS: ")
	case errors.As(err, &slow) && slow.doing == doingTLS:
		return slow.Error() + "; if the server does not speak TLS, write redis:// instead of rediss://"
	case errors.As(err, &slow):
		return slow.Error()
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		if a.TLS == nil {
			return "the server closed the connection; write rediss:// if it speaks only TLS"
		}
		return "the server closed the connection"
	case rueidis.IsRedisNil(err) && a.Master != "":
		return fmt.Sprintf("the sentinels know no master %q", a.Master)
	case errors.Is(err, rueidis.ErrClosing), errors.Is(err, net.ErrClosed):
		return "the connection is closed"
	}
	return a.scrub(err.Error())
}

// vague tells errors that only say that a connection is gone.
func vague(err error) bool {
	for _, target := range []error{
		rueidis.ErrClosing, net.ErrClosed, io.EOF, io.ErrUnexpectedEOF, context.DeadlineExceeded, os.ErrDeadlineExceeded,
		syscall.ECONNRESET, syscall.EPIPE, errCut,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// explainReply words what Redis answered.
func (a *Address) explainReply(err error, said *rueidis.RedisError) string {
	text := a.scrub(err.Error())
	code, _, _ := strings.Cut(said.Error(), " ")
	switch {
	case a.Master != "" && (rueidis.IsRedisNil(said) || strings.Contains(text, "No such master")):
		return fmt.Sprintf("the sentinels know no master %q", a.Master)
	case code == "WRONGPASS":
		if a.Username != "" && a.Password == "" {
			return text + " (a password alone is written redis://:password@host)"
		}
		return text
	case code == "NOAUTH":
		return text + " (write redis://:password@host, or redis://user:password@host)"
	}
	return text
}

// scrub takes the passwords out of a text: Redis quotes the arguments of commands
// that it does not know.
func (a *Address) scrub(text string) string {
	for _, secret := range a.secrets() {
		text = strings.ReplaceAll(text, secret, "***")
	}
	return text
}

// Scrub is err without passwords in its text. What it wraps is still there for
// errors.Is.
func (a *Address) Scrub(err error) error {
	if err == nil {
		return nil
	}
	return &scrubbed{a.scrub(err.Error()), err}
}

type scrubbed struct {
	text string
	err  error
}

func (e *scrubbed) Error() string        { return e.text }
func (e *scrubbed) Is(target error) bool { return errors.Is(e.err, target) }
