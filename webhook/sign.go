package webhook

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// signer is a verifier that can make what it takes.
type signer interface {
	// sign adds to a delivery what proves where it comes from.
	sign(d *Delivered, secret, now string) error
}

// Delivered is a delivery as a sender makes it.
type Delivered struct {
	Header http.Header
	Query  url.Values
	Path   map[string]string // parameters of the route
	Body   []byte
}

// Sign makes a delivery one that the hook takes, with the first of its secrets, as
// the app would. It is for operators who try one out. What the delivery has already is
// not taken away.
func (h *Hook) Sign(d *Delivered) error {
	s, ok := h.verifier.(signer)
	if !ok {
		return nil // anybody may post
	}
	if len(h.hidden) == 0 {
		return errors.New("the configuration has no secret here")
	}
	return s.sign(d, h.hidden[0], strconv.FormatInt(h.now().Unix(), 10))
}

func (v *bearerVerifier) sign(d *Delivered, secret, _ string) error {
	d.Header.Set("Authorization", "Bearer "+secret)
	return nil
}

func (v *pathVerifier) sign(d *Delivered, secret, _ string) error {
	d.Path[v.parameter] = secret
	return nil
}

func (v *standardVerifier) sign(d *Delivered, _, now string) error {
	if len(v.keys) == 0 {
		return errors.New("the configuration has a public key only: who signs with the private one is the app alone")
	}
	id := "msg_" + rand.Text()
	mac := hmac.New(sha256.New, v.keys[0])
	fmt.Fprintf(mac, "%s.%s.%s", id, now, d.Body)
	d.Header.Set("Webhook-Id", id)
	d.Header.Set("Webhook-Timestamp", now)
	d.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return nil
}

func (v *stripeVerifier) sign(d *Delivered, _, now string) error {
	mac := hmac.New(sha256.New, v.keys[0])
	fmt.Fprintf(mac, "%s.%s", now, d.Body)
	d.Header.Set("Stripe-Signature", "t="+now+",v1="+hex.EncodeToString(mac.Sum(nil)))
	return nil
}

// encoders write what encodings read.
var encoders = map[string]func([]byte) string{
	"": hex.EncodeToString, "hex": hex.EncodeToString, "base64": base64.StdEncoding.EncodeToString, "base64url": base64.RawURLEncoding.EncodeToString,
}

func (h *hmacVerifier) sign(d *Delivered, _, now string) error {
	if h.timestamp != nil {
		for _, name := range h.timestamp.Names("header") {
			d.Header.Set(name, now)
		}
		for _, name := range h.timestamp.Names("query") {
			d.Query.Set(name, now)
		}
	}
	s := decode.NewPayload(decode.Input{Header: d.Header, Query: d.Query.Encode(), Path: d.Path})
	defer s.Release()
	mac := hmac.New(h.hash, h.keys[0])
	for i, t := range h.signed {
		text, ok, err := t.Text(s)
		if err != nil || !ok {
			return errors.New("a header or parameter that is signed is missing; give it, with -H")
		}
		if i > 0 {
			mac.Write(d.Body)
		}
		mac.Write([]byte(text))
	}
	d.Header.Set(h.header, h.prefix+h.encode(mac.Sum(nil)))
	return nil
}

func (v *tokenVerifier) sign(d *Delivered, secret, _ string) error {
	for _, name := range v.field.Names("header") {
		d.Header.Set(name, secret)
		return nil
	}
	for _, name := range v.field.Names("query") {
		d.Query.Set(name, secret)
		return nil
	}
	for _, name := range v.field.Names("path") {
		d.Path[name] = secret
		return nil
	}
	if form := v.field.Names("form"); len(form) > 0 && strings.HasPrefix(d.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		values, err := url.ParseQuery(string(d.Body))
		if err != nil {
			return fmt.Errorf("reading the form: %w", err)
		}
		values.Set(form[0], secret)
		d.Body = []byte(values.Encode())
		return nil
	}
	names := v.field.Keys("json")
	if len(names) == 0 {
		return errors.New("the place of the token is none that can be filled in here; write it into the sample")
	}
	object := map[string]json.RawMessage{}
	if err := json.Unmarshal(d.Body, &object); err != nil {
		return fmt.Errorf("writing the token into the sample, which must be a JSON object: %w", err)
	}
	delete(object, names[0])
	rest, err := json.Marshal(object)
	if err != nil {
		return err
	}
	token, err := json.Marshal(map[string]string{names[0]: secret})
	if err != nil {
		return err
	}
	if len(object) == 0 {
		d.Body = token
		return nil
	}
	d.Body = bytes.Join([][]byte{token[:len(token)-1], rest[1:]}, []byte(","))
	return nil
}
