package caddymodule

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestOccasionalLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o occasional
		if times, ok := o.turn(time.Minute); !ok || times != 1 {
			t.Errorf("the first time: %d, %t", times, ok)
		}
		for range 99 {
			if _, ok := o.turn(time.Minute); ok {
				t.Error("written again within a minute")
			}
		}
		time.Sleep(time.Minute)
		if times, ok := o.turn(time.Minute); !ok || times != 100 {
			t.Errorf("after a minute: %d, %t", times, ok)
		}
	})
}
