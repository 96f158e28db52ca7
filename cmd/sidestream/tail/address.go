package tail

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// CheckURL returns an error for an address that HTTP cannot reach, and says what
// would be right. Otherwise it would be tried again and again.
func CheckURL(address string) error {
	if address == "" {
		return errors.New("the address is empty; write for example http://localhost:8080/flows?filter=1")
	}
	scheme, _, found := strings.Cut(address, "://")
	if !found {
		right := "http://" + strings.TrimLeft(address, "/")
		if strings.HasPrefix(address, "/") {
			right = "http://localhost:8080" + address
		}
		return fmt.Errorf("%q has no scheme; write for example %s, or https://", Printable(address), Printable(right))
	}
	if s := strings.ToLower(scheme); s != "http" && s != "https" {
		right := "https" + strings.TrimPrefix(address, scheme)
		if s == "ws" {
			right = "http" + strings.TrimPrefix(address, scheme)
		}
		return fmt.Errorf("an address begins with http:// or https://, not with %q; write for example %s", Printable(scheme), Printable(right))
	}
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return fmt.Errorf("%q is no address: %w", Printable(address), errors.Unwrap(err))
	case u.Hostname() == "":
		return fmt.Errorf("%q names no host; write for example http://localhost:8080/flows?filter=1", Printable(address))
	}
	return nil
}
