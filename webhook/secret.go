package webhook

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// minSecret is the shortest secret that is taken, in characters. A stranger can
// try millions of them a day.
const minSecret = 8

// looksLikeVariable matches how other programs name a variable.
var looksLikeVariable = regexp.MustCompile(`^(\$\{?[A-Za-z_][A-Za-z0-9_]*\}?|\$?env\.[A-Za-z_][A-Za-z0-9_]*|%[A-Z_][A-Z0-9_]*%)$`)

// HowToMakeASecret is the command that errors name.
const HowToMakeASecret = "openssl rand -hex 32"

// CheckSecret refuses what is no secret: a text that is empty, or so short or
// plain that it can be guessed, or a placeholder that was not filled in. The
// error says how to make a good one, and nothing of this one but its length.
func CheckSecret(secret string) error {
	switch {
	case strings.TrimSpace(secret) == "":
		return fmt.Errorf("it is empty; is its environment variable set? Make one with: %s", HowToMakeASecret)
	case strings.HasPrefix(secret, "{env.") || strings.HasPrefix(secret, "{$") || strings.HasPrefix(secret, "{file."):
		return fmt.Errorf("it is a placeholder that was not filled in; is its environment variable set?")
	case looksLikeVariable.MatchString(secret):
		return fmt.Errorf("it looks like the name of a variable, and would be the secret itself; write {env.NAME} for the variable NAME")
	case utf8.RuneCountInString(strings.TrimSpace(secret)) < minSecret:
		return fmt.Errorf("it has %d characters, and whoever guesses it can post; use at least %d random ones: %s", utf8.RuneCountInString(strings.TrimSpace(secret)), minSecret, HowToMakeASecret)
	case isPlain(secret):
		return fmt.Errorf("it is one character again and again, or what everybody tries first, and whoever guesses it can post; make one with: %s", HowToMakeASecret)
	}
	return nil
}

// isPlain tells whether a secret is one character again and again, or what is written
// where a secret should stand.
func isPlain(secret string) bool {
	key := strings.TrimRight(strings.TrimPrefix(secret, "whsec_"), "=")
	return key == "" || strings.Trim(key, string([]rune(key)[:1])) == "" || slices.Contains(wellKnown, strings.ToLower(key))
}

// wellKnown are what documentation has for a secret.
var wellKnown = []string{"changeme", "change-me", "change_me", "your-secret", "your_secret", "password"}
