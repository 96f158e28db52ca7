package decode

import (
	"strconv"
	"strings"
	"time"
)

// The keys under which a time stands in an object: Extended JSON of MongoDB, and
// the timestamps of Protocol Buffers and Firestore.
var timePaths = []Path{{newStep("$date")}, {newStep("$numberLong")}, {newStep("seconds")}, {newStep("_seconds")}}

// time reads a moment in whatever way the app writes it: a number whose count of
// digits tells seconds, milliseconds, microseconds or nanoseconds, with or without
// a fraction or an exponent; a written date; or one of them in an object.
func (v *Value) time() (time.Time, bool) {
	switch v.kind {
	case text, number:
		return parseTime(v.text)
	case composite:
		for _, path := range timePaths {
			inner, err := path.Find(v.node)
			if err == nil && inner.kind != missing && inner.kind != boolean {
				return inner.time()
			}
		}
	}
	return time.Time{}, false
}

// version is what tells edits of a message apart. One way in may bring the moment of
// an edit as a date and another one as a number: where nothing is lost by it, all of
// them become the same milliseconds. ok is false if it is no name.
func (v *Value) version() (version string, ok bool) {
	if v.kind == composite {
		t, ok := v.time()
		return strconv.FormatInt(t.UnixMilli(), 10), ok
	}
	id, ok := v.identity()
	s := id.Text
	switch {
	case !ok || len(s) < len("1700000000") || len(s) > 64:
	case strings.Trim(s, "0123456789") == "":
		if len(s) == len("1700000000") {
			return s + "000", true
		}
	default:
		if t, err := time.Parse(time.RFC3339Nano, s); err == nil && t.Equal(t.Truncate(time.Millisecond)) {
			return strconv.FormatInt(t.UnixMilli(), 10), true
		}
	}
	return s, ok
}

func parseTime(s string) (time.Time, bool) {
	if len(s) > 100 {
		return time.Time{}, false
	}
	if s != "" && strings.Trim(s, "0123456789.eE+") == "" {
		return parseNumberTime(s)
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t.Truncate(time.Millisecond).UTC(), true
	}
	return parseWrittenTime(s)
}

// parseNumberTime reads the time since 1970. The count of digits tells the unit.
func parseNumberTime(s string) (time.Time, bool) {
	digits, point, ok := decimal(s)
	if !ok {
		return time.Time{}, false
	}
	unit, ok := map[int]int{10: 0, 13: 3, 16: 6, 19: 9}[point]
	if !ok {
		return time.Time{}, false
	}
	// Milliseconds, cut or filled with zeros.
	end := point - unit + 3
	if len(digits) < end {
		digits += strings.Repeat("0", end-len(digits))
	}
	millis, err := strconv.ParseInt(digits[:end], 10, 64)
	return time.UnixMilli(millis).UTC(), err == nil
}

// decimal is the digits of a positive number, and how many stand before the
// point.
func decimal(s string) (digits string, point int, ok bool) {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(s), "e")
	whole, fraction, fractional := strings.Cut(mantissa, ".")
	if !isDigits(whole) || fractional && !isDigits(fraction) {
		return "", 0, false
	}
	point = len(whole)
	if exponent != "" || strings.ContainsAny(s, "eE") {
		n, err := strconv.Atoi(strings.TrimPrefix(exponent, "+"))
		if err != nil || n < 0 || n > 20 {
			return "", 0, false
		}
		point += n
	}
	return whole + fraction, point, true
}

// parseWrittenTime reads a date with a time of day, as programs write it:
//
//	2015-05-17 18:08:09 UTC              Ruby, GitLab
//	2015/05/17 18:08 +0200               Campfire
//	2015-05-17T18:08:09.5+02             ISO 8601
//	Sun, 17 May 2015 18:08:09 GMT        RFC 1123, JavaScript's toUTCString
//	Sunday, 17-May-15 18:08:09 UTC       RFC 850
//	Sun May 17 18:08:09 +0200 2015       Ruby on Rails, Twitter
//	Sun May 17 18:08:09 2015             C's ctime
//	Sun May 17 2015 18:08:09 GMT+0200 (CEST)   JavaScript's toString
//
// Without a zone, it is UTC.
func parseWrittenTime(s string) (time.Time, bool) {
	s, _, _ = strings.Cut(s, "(") // the long name of a zone
	before, clock, after, ok := cutClock(s)
	if !ok {
		return time.Time{}, false
	}
	var d calendar
	for word := range strings.FieldsFuncSeq(before, func(r rune) bool { return strings.ContainsRune(" ,-/", r) }) {
		if !d.add(word) {
			return time.Time{}, false
		}
	}
	zone, ok := d.zone(strings.Fields(after))
	if !ok || d.year == 0 || d.month == 0 || d.day == 0 {
		return time.Time{}, false
	}
	at := time.Date(d.year, time.Month(d.month), d.day, clock[0], clock[1], clock[2], 0, time.UTC)
	if at.Day() != d.day || clock[0] > 23 || clock[1] > 59 || clock[2] > 60 {
		return time.Time{}, false // no such day, or no such time
	}
	return at.Add(time.Duration(clock[3])*time.Millisecond - zone), true
}

// cutClock finds the hours, minutes, seconds and milliseconds, and what stands
// around them.
func cutClock(s string) (before string, clock [4]int, after string, ok bool) {
	colon := strings.IndexByte(s, ':')
	if colon < 2 || !isDigits(s[colon-2:colon]) {
		return "", clock, "", false
	}
	before = strings.TrimRight(s[:colon-2], "Tt ")
	if before == s[:colon-2] {
		return "", clock, "", false
	}
	rest := s[colon-2:]
	for i := range 3 {
		if len(rest) < 2 || !isDigits(rest[:2]) {
			return "", clock, "", false
		}
		clock[i], _ = strconv.Atoi(rest[:2])
		rest = rest[2:]
		if i == 2 || rest == "" || rest[0] != ':' {
			break
		}
		rest = rest[1:]
	}
	if rest != "" && (rest[0] == '.' || rest[0] == ',') {
		end := 1
		for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
			end++
		}
		if end == 1 {
			return "", clock, "", false
		}
		clock[3], _ = strconv.Atoi((rest[1:end] + "00")[:3])
		rest = rest[end:]
	}
	return before, clock, rest, true
}

// calendar is a date that is put together from words.
type calendar struct{ year, month, day int }

// add takes a word of the date: the name of a day, which says nothing new, the
// name of a month, a year, or a number that is the month or day, in that order.
func (d *calendar) add(word string) bool {
	n, err := strconv.Atoi(word)
	switch {
	case err != nil:
		month := indexOfName(months, word)
		if month > 0 && d.month == 0 {
			d.month = month
			return true
		}
		return indexOfName(weekdays, word) > 0
	case len(word) == 4 && d.year == 0:
		d.year = n
	case len(word) > 2 || n == 0:
		return false
	case d.month == 0 && d.year != 0:
		d.month = n
	case d.day == 0:
		d.day = n
	case d.year == 0: // RFC 850
		d.year = 1900 + n
		if n < 70 {
			d.year += 100
		}
	default:
		return false
	}
	return d.month <= 12
}

var (
	months = []string{"january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
		"november", "december"}
	weekdays = []string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}
)

// indexOfName is the number of a name, or of its first three or four letters,
// from 1; 0 if it is none.
func indexOfName(names []string, word string) int {
	word = strings.ToLower(strings.TrimSuffix(word, "."))
	for i, name := range names {
		if len(word) >= 3 && strings.HasPrefix(name, word) {
			return i + 1
		}
	}
	return 0
}

// zones are the names that mean one thing (RFC 5322 4.3), in hours from UTC.
var zones = map[string]int{"z": 0, "utc": 0, "gmt": 0, "ut": 0, "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7}

// zone reads what stands behind the time of day: a name, an offset, or both, and
// the year where it comes last.
func (d *calendar) zone(words []string) (offset time.Duration, ok bool) {
	known := false
	for _, word := range words {
		if len(word) == 4 && isDigits(word) && d.year == 0 {
			d.year, _ = strconv.Atoi(word)
			continue
		}
		name, number := word, ""
		if i := strings.IndexAny(word, "+-"); i >= 0 {
			name, number = word[:i], word[i:]
		}
		hours, named := zones[strings.ToLower(name)]
		switch {
		case number != "":
			if known || name != "" && !(named && hours == 0) {
				return 0, false
			}
			if offset, ok = parseOffset(number); !ok {
				return 0, false
			}
		case named && !known:
			offset = time.Duration(hours) * time.Hour
		case !known || !isLetters(name): // behind an offset, any name may stand
			return 0, false
		}
		known = true
	}
	return offset, true
}

// parseOffset reads +2, +02, +0200 or +02:00.
func parseOffset(s string) (time.Duration, bool) {
	digits := strings.Replace(s[1:], ":", "", 1)
	if !isDigits(digits) || len(digits) > 4 || len(digits) == 3 {
		return 0, false
	}
	hours, minutes := digits, "0"
	if len(digits) == 4 {
		hours, minutes = digits[:2], digits[2:]
	}
	h, _ := strconv.Atoi(hours)
	m, _ := strconv.Atoi(minutes)
	offset := time.Duration(h)*time.Hour + time.Duration(m)*time.Minute
	if s[0] == '-' {
		offset = -offset
	}
	return offset, h < 24 && m < 60
}

func isLetters(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') })
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
