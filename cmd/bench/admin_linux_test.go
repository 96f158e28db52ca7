package main

import "testing"

func TestParseLive(t *testing.T) {
	profile := "heap profile: 1: 2 [3: 4] @ heap/1048576\n\n# runtime.MemStats\n# Alloc = 7\n# HeapAlloc = 5000\n# HeapSys = 9000\n# Stack = 300 / 400\n"
	if n, err := parseLive(profile); err != nil || n != 5300 {
		t.Errorf("%d, %v; want 5300", n, err)
	}
	if _, err := parseLive("heap profile: 0: 0"); err == nil {
		t.Error("a profile without figures is taken")
	}
}
