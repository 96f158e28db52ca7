# make         what can be made
# make test    everything that CI checks

GO ?= go
# How long, or how often, each parser is fed random bytes by "make fuzz", and by
# "make test".
FUZZTIME ?= 60s
SMOKETIME ?= 1000x
# Systems for which the code and the tests are at least vetted.
SYSTEMS ?= windows darwin freebsd
# The address of govulncheck's database; it may be a folder: file:///srv/vulndb
VULNDB ?= https://vuln.go.dev

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
DEADCODE    = golang.org/x/tools/cmd/deadcode@v0.51.0
CYCLONEDX   = github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.9.0
# What is released.
RELEASES ?= linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64
GOVULNCHECK = golang.org/x/vuln/cmd/govulncheck@v1.1.4

.PHONY: help build release test install lint format modules vet staticcheck dead systems unit smoke fuzz vuln bench demo

help:
	@echo 'make build   the command sidestream, into bin/'
	@echo 'make release VERSION=v1.2.3   the command for several systems, with checksums and an SBOM, into dist/'
	@echo 'make test    everything that CI checks: lint, all tests with the race detector, a short fuzz of each parser;'
	@echo '             installs what the tests need first (on Debian and its like; elsewhere it says what is missing)'
	@echo 'make lint    formatting, go vet (also for $(SYSTEMS)), staticcheck, dead functions, the module files'
	@echo 'make unit    all tests with the race detector'
	@echo 'make fuzz    each parser for FUZZTIME ($(FUZZTIME))'
	@echo 'make vuln    known vulnerabilities, by the database VULNDB ($(VULNDB))'
	@echo 'make bench   the figures, on this machine; takes half an hour (go run ./cmd/bench -quick: one minute)'
	@echo 'make demo    a chat app with Sidestream in front of it'

build:
	$(GO) build -o bin/sidestream ./cmd/sidestream

# The flags make the same bytes of the same source. The SBOM comes first, because it may
# fail: it takes the version from Git, so this has to be a clone of its own.
release:
	@test -n "$(VERSION)" || { echo 'say which version, as in: make release VERSION=v1.2.3' >&2; exit 1; }
	rm -rf dist && mkdir dist
	$(GO) run $(CYCLONEDX) app -json -licenses=false -main cmd/sidestream -output dist/sidestream-$(VERSION).cdx.json .
	@set -e; for target in $(RELEASES); do \
		system=$${target%/*}; arch=$${target#*/}; name=sidestream-$(VERSION)-$$system-$$arch; \
		[ $$system = windows ] && name=$$name.exe; echo "$$name"; \
		CGO_ENABLED=0 GOOS=$$system GOARCH=$$arch $(GO) build -trimpath -buildvcs=false \
			-ldflags '-s -w -X github.com/seed-078801ba/sidestream/caddymodule/version.release=$(VERSION)' -o dist/$$name ./cmd/sidestream; \
	done
	cd dist && sha256sum * >SHA256SUMS

# In this order, so that what is quick to find is found first.
test:
	@$(MAKE) --no-print-directory install
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory smoke

install:
	.ci/install

lint: format modules vet staticcheck dead systems

format:
	@files=$$(gofmt -l .); if [ -n "$$files" ]; then echo "not formatted with gofmt:"; echo "$$files"; exit 1; fi

modules:
	$(GO) mod tidy -diff
	$(GO) mod verify

vet:
	$(GO) vet ./...

staticcheck:
	$(GO) run $(STATICCHECK) ./...

dead:
	.ci/dead $(DEADCODE)

systems:
	@set -e; for system in $(SYSTEMS); do echo "GOOS=$$system $(GO) vet ./..."; GOOS=$$system $(GO) vet ./...; done

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

vuln:
	$(GO) run $(GOVULNCHECK) -db $(VULNDB) ./...

bench:
	$(GO) run ./cmd/bench

demo:
	$(GO) run ./cmd/sidestream demo
