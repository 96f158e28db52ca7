package file

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"strings"
	"sync"

	"github.com/seed-078801ba/sidestream/stream/log"
)

// Records stand in a file of their own beside the log, which is made when there is
// the first one. Whoever has the log open owns it. It is a line that says what it
// is, and then what was put, one behind the other:
//
//	checksum of what follows 4, length of the value 4, end 8, length of the id 1, id, value
//
// All of it is in memory, too: the file is only read when it is opened. Nothing is
// synced. What a crash of the machine tears is found by its checksum and left out,
// with all that follows. A file of which most was replaced is written anew.
const (
	recordsSuffix  = ".records"
	recordsHeading = "sidestream records "
	recordsFormat  = recordsHeading + "1\n"
	recordHead     = 17
	// slack is how much of the file may be of no use before it is written anew,
	// beside as much as is of use.
	recordsSlack = 1 << 20
)

// records are those of one log.
type records struct {
	path string

	mu    sync.Mutex
	table log.RecordTable
	file  *os.File // nil until something is put
	size  int64
	buf   []byte
}

// PutRecords implements log.Log.
func (f *Log) PutRecords(put []log.Record) error {
	if err := log.CheckRecords(put); err != nil {
		return err
	}
	r := &f.records
	r.mu.Lock()
	defer r.mu.Unlock()
	now := f.options.Now().UnixMilli()
	r.buf = r.buf[:0]
	for i := range put {
		r.buf = appendRecord(r.buf, put[i].ID, put[i].Value, put[i].Until.UnixMilli())
	}
	if err := r.write(r.buf); err != nil {
		return fmt.Errorf("keeping records: %w", classify(r.path, err))
	}
	for i := range put {
		r.table.Put(put[i].ID, append([]byte(nil), put[i].Value...), put[i].Until.UnixMilli(), now)
	}
	if cap(r.buf) > recordsSlack {
		r.buf = nil
	}
	if count, bytes := r.table.Size(); r.size > recordsSlack+2*(bytes+int64(count)*recordHead) {
		if err := r.compact(); err != nil {
			return fmt.Errorf("keeping records: %w", classify(r.path, err))
		}
	}
	return nil
}

// Record implements log.Log.
func (f *Log) Record(id string) ([]byte, bool, error) {
	f.records.mu.Lock()
	defer f.records.mu.Unlock()
	value, ok := f.records.table.Get(id, f.options.Now().UnixMilli())
	return value, ok, nil
}

func appendRecord(dst []byte, id string, value []byte, until int64) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(value)))
	dst = binary.BigEndian.AppendUint64(dst, uint64(until))
	dst = append(dst, byte(len(id)))
	dst = append(dst, id...)
	dst = append(dst, value...)
	binary.BigEndian.PutUint32(dst[at:], crc32.Checksum(dst[at+4:], castagnoli))
	return dst
}

// cutRecord takes the first record off b; ok is false if it is not whole.
func cutRecord(b []byte) (id string, value []byte, until int64, rest []byte, ok bool) {
	if len(b) < recordHead {
		return "", nil, 0, b, false
	}
	size, idSize := int(binary.BigEndian.Uint32(b[4:])), int(b[16])
	if size > log.MaxRecord || idSize == 0 || len(b) < recordHead+idSize+size {
		return "", nil, 0, b, false
	}
	end := recordHead + idSize + size
	if crc32.Checksum(b[4:end], castagnoli) != binary.BigEndian.Uint32(b) {
		return "", nil, 0, b, false
	}
	return string(b[recordHead : recordHead+idSize]), b[recordHead+idSize : end], int64(binary.BigEndian.Uint64(b[8:])), b[end:], true
}

// open reads the records that are there.
func (r *records) open(path string, now int64) error {
	r.path = path + recordsSuffix
	b, err := os.ReadFile(r.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	text := string(b[:min(len(b), len(recordsFormat))])
	if text != recordsFormat {
		switch {
		case strings.HasPrefix(recordsFormat, text):
			b = nil // torn when it was made
		case strings.HasPrefix(text, recordsHeading):
			return fmt.Errorf("%s: %w", r.path, ErrNewerFormat)
		default:
			return fmt.Errorf("%s does not hold the records of a log: move it away", r.path)
		}
	} else {
		b = b[len(recordsFormat):]
	}
	for {
		id, value, until, rest, ok := cutRecord(b)
		if !ok {
			break
		}
		b = rest
		r.table.Put(id, append([]byte(nil), value...), until, now)
	}
	return r.compact()
}

// write appends to the file. What is written in part is taken back.
func (r *records) write(b []byte) error {
	if r.file == nil {
		if err := r.compact(); err != nil {
			return err
		}
	}
	n, err := r.file.WriteAt(b, r.size)
	if err != nil {
		if n > 0 {
			_ = r.file.Truncate(r.size) // if not, the checksum tells
		}
		return err
	}
	r.size += int64(n)
	return nil
}

// compact writes the file anew, with what is in the table.
func (r *records) compact() error {
	file, err := os.OpenFile(r.path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	b := []byte(recordsFormat)
	r.table.Each(func(id string, value []byte, until int64) { b = appendRecord(b, id, value, until) })
	if _, err = file.Write(b); err == nil {
		err = os.Rename(file.Name(), r.path)
	}
	if err != nil {
		return errors.Join(err, file.Close(), os.Remove(file.Name()))
	}
	if r.file != nil {
		_ = r.file.Close() // the file that it was is gone
	}
	r.file, r.size = file, int64(len(b))
	return nil
}

func (r *records) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		return nil
	}
	file := r.file
	r.file = nil
	return file.Close()
}
