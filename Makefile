# Glimpse: what there is to do. `make help` lists it.
SHELL := /bin/bash
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
TOOLS := go tool -modfile=.ci/tools/go.mod
export CGO_ENABLED ?= 0

# The build tags of the rbd store; none where librbd is missing.
CEPH_TAGS = $(shell .ci/ceph-tags)

.PHONY: help run build build-ceph servers servers-stop cluster test test-ceph test-deps test-long teeth soak race fuzz bench check fmt lint clean go

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

go:
	@.ci/need-go

build: go ## bin/glimpse, static
	@CGO_ENABLED=0 go build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/glimpse ./cmd/glimpse

build-ceph: go ## bin/glimpse with the rbd store; needs a C compiler, librados-dev and librbd-dev
	@[ -n "$(CEPH_TAGS)" ] || { echo "librbd or a C compiler is missing: apt-get install gcc libc6-dev librados-dev librbd-dev" >&2; exit 1; }
	@CGO_ENABLED=1 go build -trimpath -tags "$(CEPH_TAGS)" -ldflags '-X main.version=$(VERSION)' -o bin/glimpse ./cmd/glimpse

run: build ## build and start a node on embedded defaults, http://127.0.0.1:9292
	@exec bin/glimpse serve

servers: $(if $(CEPH_TAGS),build-ceph,build) ## start real stores to try a node on (Swift, S3, Ceph, nginx; what is installed), on loopback
	@go build -o bin/servers ./cmd/servers
	@bin/servers start

servers-stop: go ## end those stores, and throw the images in them away
	@go build -o bin/servers ./cmd/servers
	@bin/servers stop

cluster: build ## three nodes of one cluster and MariaDB on loopback, in ./glimpse-cluster; Ctrl-C ends them
	@go build -o bin/localcluster ./cmd/localcluster
	@exec bin/localcluster

test: go ## set up what the tests need (DEPS=skip declines) and run them all
	@.ci/deps offer
	@go run ./cmd/testreport ./...
	@$(MAKE) --no-print-directory test-ceph

test-ceph: go ## the tests of the rbd store, which need librbd
	@if [ -n "$(CEPH_TAGS)" ]; then CGO_ENABLED=1 go run ./cmd/testreport -tags "$(CEPH_TAGS)" ./backends/rbd ./backends/open; \
	else echo "librbd or a C compiler is missing: the tests of the rbd store are skipped"; [ "$${CI:-}" != true ]; fi

test-deps: ## install the servers and clients that the tests need (Debian or Ubuntu, as root)
	@.ci/deps install
	@.ci/deps servers

test-long: go ## all tests with the long counts of those that have one
	@GLIMPSE_LONG=1 go run ./cmd/testreport ./...

teeth: go ## take each defence away and see its test fail; TEETH="-within 5m" tries some of them
	@go run ./cmd/teeth $(TEETH)

soak: go ## 30 minutes of mixed load and faults on one node, 10 of twenty busy nodes
	@GLIMPSE_SOAK=30m go test ./cmd/glimpse/systest -run '^(TestSoak|TestBusyNodesAreNotTakenForDead)$$' -count=1 -v -timeout 60m

race: go ## all tests under the race detector
	@CGO_ENABLED=1 go run ./cmd/testreport -race ./...

fuzz: go ## every fuzz target, 60 s in all
	@.ci/fuzz 60

bench: build ## uploads, downloads and metadata beside nginx, in one run
	@go run ./bench -binary bin/glimpse

check: go ## format, vet, lint, architecture
	@bad=$$($(TOOLS) gofumpt -l $$(git ls-files '*.go')); if [ -n "$$bad" ]; then echo "not formatted: $$bad (make fmt)"; exit 1; fi
	@go vet ./...
	@go test ./cmd/archtest
	@$(MAKE) --no-print-directory lint

fmt: go ## format all Go files
	@$(TOOLS) gofumpt -w $$(git ls-files '*.go')

lint: go ## golangci-lint with the linters of .golangci.yml
	@$(TOOLS) golangci-lint run ./...
	@[ -z "$(CEPH_TAGS)" ] || CGO_ENABLED=1 $(TOOLS) golangci-lint run --build-tags "$(CEPH_TAGS)" ./backends/rbd ./backends/open

clean: ## remove what was built
	@rm -rf bin
