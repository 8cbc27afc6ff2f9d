# make run    the gateway on this machine, with the embedded store in ./.tollgate
# make demo   see it work without a provider account
# make test   the tests; with npm there, also the DynamoDB store against an emulator
# make check  format, vet, staticcheck, govulncheck
# make e2e    the official SDKs through the real binaries (make e2e-deps first)
# make openapi  the admin API against its OpenAPI document, by a fuzzer
# make sam    the template: lint, build, and the check that it streams
# make bench  what the gateway adds to a call
# make deploy build and deploy to AWS

.DEFAULT_GOAL := run

BUILD = CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags "-s -w"

.PHONY: run demo test check bench deploy
run: bin/tollgate
	./bin/tollgate local $(ARGS)

demo: bin/tollgate
	./bin/tollgate demo

.PHONY: bin/tollgate
bin/tollgate:
	$(BUILD) -o $@ ./cmd/tollgate

# One package at a time: two of them storm a database, and want the machine for it.
# The race detector needs a C compiler; without one the tests run without it.
RACE := $(shell command -v cc >/dev/null 2>&1 && echo -race)

test: $(if $(shell command -v npm 2>/dev/null),.ci/tools/dynoxide/node_modules)
	go build $(RACE) ./...
	go test $(RACE) -p 1 -timeout 20m ./...

.ci/tools/dynoxide/node_modules: .ci/tools/dynoxide/package-lock.json
	npm ci --prefix .ci/tools/dynoxide --no-audit --no-fund
	@touch $@

LINT = go tool -modfile=.ci/tools/lint/go.mod

check: | .build
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "gofmt would change: $$unformatted"; exit 1; }
	go vet ./...
	$(LINT) staticcheck ./...
	@$(LINT) govulncheck ./... > .build/govulncheck.txt 2>&1; code=$$?; \
	if grep -q "fetching vulnerabilities" .build/govulncheck.txt; then echo "govulncheck: NOT RUN, its data cannot be had here"; \
	else cat .build/govulncheck.txt; exit $$code; fi

bench: bin/tollgate
	$(BUILD) -o bin/bench ./internal/bench
	./bin/bench -tollgate bin/tollgate $(ARGS)

deploy:
	sam build
	sam deploy --guided

# The SAM CLI calls build-<function> with ARTIFACTS_DIR; see template.yaml.

ARTIFACTS_DIR ?= bin
GOARCH ?= arm64

LAMBDA_BUILD = CGO_ENABLED=0 GOOS=linux GOARCH=$(GOARCH) \
	go build -buildvcs=false -trimpath -tags lambda.norpc -ldflags "-s -w"

.PHONY: build-ProxyFunction
build-ProxyFunction:
	$(LAMBDA_BUILD) -o "$(ARTIFACTS_DIR)/bootstrap" ./functions/proxy

.PHONY: build-AdminFunction
build-AdminFunction:
	$(LAMBDA_BUILD) -o "$(ARTIFACTS_DIR)/bootstrap" ./functions/admin

.PHONY: build-RollupFunction
build-RollupFunction:
	$(LAMBDA_BUILD) -o "$(ARTIFACTS_DIR)/bootstrap" ./functions/rollup

# sam: validate and lint the template, build the functions, and check what
# CloudFormation would make of the template. Needs Python 3.10 or later and no
# AWS account.

SAM_ENV = .build/sam
SAM = SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=$${AWS_DEFAULT_REGION:-eu-central-1} $(SAM_ENV)/bin/sam

.PHONY: sam
sam: $(SAM_ENV)/installed
	$(SAM) validate --lint
	$(SAM) build
	SAM_PYTHON=$(CURDIR)/$(SAM_ENV)/bin/python go test -count=1 ./internal/samtest

$(SAM_ENV)/installed: .ci/tools/sam/requirements.txt
	python3 -m venv $(SAM_ENV)
	$(SAM_ENV)/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

# e2e: the official SDKs for Go, Node and Python against the built programs, and
# aimock as an upstream. e2e-deps installs what that needs besides Go: Node 20 or
# later and Python 3.10 or later have to be there.

SDK_ENV = .build/sdk/venv

.PHONY: e2e-deps e2e
e2e-deps: .ci/tools/dynoxide/node_modules .ci/tools/sdk/node_modules $(SDK_ENV)/installed

e2e:
	TOLLGATE_REQUIRE_E2E=1 go test -count=1 ./internal/e2e

.ci/tools/sdk/node_modules: .ci/tools/sdk/package-lock.json
	npm ci --prefix .ci/tools/sdk --no-audit --no-fund
	@touch $@

$(SDK_ENV)/installed: .ci/tools/sdk/requirements.txt
	python3 -m venv $(SDK_ENV)
	$(SDK_ENV)/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

# openapi: the OpenAPI document against the admin API, by a fuzzer made from it.
# Needs Python 3.10 or later.

OPENAPI_ENV = .build/openapi

.PHONY: openapi
openapi: bin/tollgate $(OPENAPI_ENV)/installed
	$(OPENAPI_ENV)/bin/python .ci/tools/openapi/fuzz.py bin/tollgate internal/openapi/openapi.json

$(OPENAPI_ENV)/installed: .ci/tools/openapi/requirements.txt
	python3 -m venv $(OPENAPI_ENV)
	$(OPENAPI_ENV)/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

.build:
	mkdir -p $@
