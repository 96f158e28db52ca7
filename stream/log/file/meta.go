package file

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
)

// The first two pages of a bbolt file are its meta pages, written in turns,
// one by each transaction: the valid one with the higher number is the state
// of the file. bbolt itself is content with one of them; then the last
// transaction, which was acknowledged, could be gone without a word. So we
// look at both.
const (
	pageHeader   = 16 // id, flags, count, overflow
	metaSize     = 64
	metaMagic    = 0xED0CDAED
	metaVersion  = 2
	metaPageSize = 8  // offsets behind the page's header
	metaFree     = 32 // the page with the list of free pages
	metaPages    = 40 // the number of pages in use
	metaTxid     = 48
	metaChecksum = 56
)

type metaPage struct {
	pageSize int
	free     uint64
	pages    uint64
	txid     uint64
}

var errNoMeta = errors.New("no bbolt page")

func parseMeta(page []byte) (metaPage, error) {
	if len(page) < pageHeader+metaSize {
		return metaPage{}, errNoMeta
	}
	b := page[pageHeader:]
	if binary.NativeEndian.Uint32(b) != metaMagic {
		return metaPage{}, errNoMeta
	}
	if version := binary.NativeEndian.Uint32(b[4:]); version != metaVersion {
		return metaPage{}, fmt.Errorf("bbolt version %d: %w", version, ErrNewerFormat)
	}
	sum := fnv.New64a()
	sum.Write(b[:metaChecksum])
	if sum.Sum64() != binary.NativeEndian.Uint64(b[metaChecksum:]) {
		return metaPage{}, errRecord
	}
	return metaPage{
		pageSize: int(binary.NativeEndian.Uint32(b[metaPageSize:])),
		free:     binary.NativeEndian.Uint64(b[metaFree:]),
		pages:    binary.NativeEndian.Uint64(b[metaPages:]),
		txid:     binary.NativeEndian.Uint64(b[metaTxid:]),
	}, nil
}

// checkMetas tells whether both meta pages are whole and the file is as long
// as they say.
func checkMetas(file *os.File, pageSize int) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	page := make([]byte, pageSize)
	for i := range int64(2) {
		if _, err := file.ReadAt(page, i*int64(pageSize)); err != nil {
			return fmt.Errorf("reading page %d: %w", i, err)
		}
		meta, err := parseMeta(page)
		if err != nil {
			return fmt.Errorf("page %d: %w", i, err)
		}
		if meta.pageSize != pageSize {
			return fmt.Errorf("page %d: %w", i, errRecord)
		}
		if want := int64(meta.pages) * int64(pageSize); info.Size() < want {
			return fmt.Errorf("the file has %d bytes of at least %d: its end is cut off", info.Size(), want)
		}
	}
	return nil
}

// The head of the page with the list of free pages: the number of them, or
// manyFree, and then the number is the list's first entry.
const (
	pageCount = 10
	manyFree  = 0xffff
)

// freeBytes is the room in the file that the next transactions can use.
func freeBytes(file *os.File, pageSize int) (int64, error) {
	_, count, err := freeList(file, pageSize)
	return int64(count) * int64(pageSize), err
}

// freeList is where in the file the list of free pages stands, and how long it is.
func freeList(file *os.File, pageSize int) (at int64, count uint64, err error) {
	var newest metaPage
	page := make([]byte, pageSize)
	for i := range int64(2) {
		if _, err := file.ReadAt(page, i*int64(pageSize)); err != nil {
			return 0, 0, fmt.Errorf("reading page %d: %w", i, err)
		}
		meta, err := parseMeta(page)
		if err != nil {
			return 0, 0, fmt.Errorf("page %d: %w", i, err)
		}
		if meta.txid >= newest.txid {
			newest = meta
		}
	}
	head := page[:pageHeader+8]
	at = int64(newest.free) * int64(pageSize)
	if _, err := file.ReadAt(head, at); err != nil {
		return 0, 0, fmt.Errorf("reading the list of free pages: %w", err)
	}
	at += pageHeader
	count = uint64(binary.NativeEndian.Uint16(head[pageCount:]))
	if count == manyFree {
		count = binary.NativeEndian.Uint64(head[pageHeader:])
		at += 8
	}
	return at, count, nil
}

// undoCommit makes the file be as it was before transaction txid, whose commit
// failed: what was acknowledged before stays, what was not is certainly gone,
// once the file has been synced. Nobody may read the file meanwhile.
//
// A commit writes its pages where the transaction before has none, syncs,
// writes its meta page and syncs. Wherever that failed, the state before is
// whole on disk, if only its meta page is the one that counts. After a failed
// sync, the kernel may call pages clean that it never wrote, so what the file
// seems to hold proves nothing: the meta page is written again, as a copy of
// the other one.
func undoCommit(file *os.File, pageSize int, txid uint64) error {
	page := make([]byte, pageSize)
	slot := int64(txid % 2)
	if _, err := file.ReadAt(page, (1-slot)*int64(pageSize)); err != nil {
		return fmt.Errorf("reading a meta page: %w", err)
	}
	meta, err := parseMeta(page)
	if err != nil {
		return fmt.Errorf("reading a meta page: %w", err)
	}
	if meta.txid != txid-1 {
		return fmt.Errorf("transaction %d follows %d: %w", txid, meta.txid, errRecord)
	}
	binary.NativeEndian.PutUint64(page, uint64(slot)) // the page's id
	if _, err := file.WriteAt(page, slot*int64(pageSize)); err != nil {
		return fmt.Errorf("writing a meta page: %w", err)
	}
	return nil
}
