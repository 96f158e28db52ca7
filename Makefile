# make         what can be made
# make test    everything that CI checks

GO ?= go
# How long, or how often, each parser is fed random bytes by "make fuzz", and by
# "make test".
FUZZTIME ?= 60s
SMOKETIME ?= 1000x

.PHONY: help build test vet lint unit smoke fuzz bench demo

help:
	@echo 'make build   the command sidestream, into bin/'
	@echo 'make test    formatting, vet, all tests with the race detector, a short fuzz of each parser'
	@echo 'make lint    formatting, vet and staticcheck'
	@echo 'make fuzz    each parser for FUZZTIME ($(FUZZTIME))'
	@echo 'make bench   the figures of the README, on this machine; takes half an hour (go run ./cmd/bench -quick: one minute)'
	@echo 'make demo    a chat app with Sidestream in front of it'

build:
	$(GO) build -o bin/sidestream ./cmd/sidestream

test: vet unit smoke

vet:
	@files=$$(gofmt -l .); if [ -n "$$files" ]; then echo "not formatted with gofmt:"; echo "$$files"; exit 1; fi
	$(GO) vet ./...

lint: vet
	$(GO) run honnef.co/go/tools/cmd/staticcheck@2026.2.2 ./...

unit:
	$(GO) test -race -shuffle=on -timeout 30m ./...

smoke:
	@$(MAKE) --no-print-directory fuzz FUZZTIME=$(SMOKETIME)

# go test fuzzes one target of one package at a time.
fuzz:
	@set -e; for package in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "fuzz $$target of $$package"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

bench:
	$(GO) run ./cmd/bench

demo:
	$(GO) run ./cmd/sidestream demo
