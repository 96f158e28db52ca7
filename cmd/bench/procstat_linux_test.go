package main

import (
	"os"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	stat := "812 (a) name (of sorts)) S 1 812 812 0 -1 4194560 1 2 3 4 150 50 7 8 20 0 9 0 1000 1 2 3"
	if d, err := parseStat([]byte(stat)); err != nil || d != 2*time.Second {
		t.Errorf("%s, %v; want 2s", d, err)
	}
	for _, bad := range []string{"", "1 (x) S 1", "1 (x) S 1 1 1 0 -1 0 1 2 3 4 many 50 7 8"} {
		if _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestThisProcess(t *testing.T) {
	pid := os.Getpid()
	if n, err := residentBytes(pid); err != nil || n < 1<<20 {
		t.Errorf("resident: %d, %v", n, err)
	}
	if n, err := descriptors(pid); err != nil || n < 3 {
		t.Errorf("descriptors: %d, %v", n, err)
	}
	if _, err := processorTime(pid); err != nil {
		t.Error(err)
	}
	if _, err := storageBytes(t.TempDir()); err != nil {
		t.Error(err)
	}
}
