# SPDX-License-Identifier: MIT
# make            build/ecgraft, build/libecgraft.a, build/libecgraft.so
# make demo       everything end to end on the embedded synthetic cohort       make test     all tests
# make check      include order, exported symbols, the public header alone     make deps     packages for build and run (Debian)
# SAN=address|undefined|thread, CC=clang, B=DIR (build folder)

CC ?= gcc
SAN ?=
B ?= build$(if $(SAN),-$(SAN))$(if $(filter clang%,$(notdir $(CC))),-clang)
PREFIX ?= /usr/local
VERSION := 0.1.0
COMMIT := $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)

PKGS := jansson yaml-0.1 zlib flac libzip libmicrohttpd
HAVE_ISAL := $(shell pkg-config --exists libisal 2>/dev/null && echo 1)
PKGS += $(if $(HAVE_ISAL),libisal)
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null)

WARN := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wvla
OPT ?= -O2
# no contraction and no fast-math: the same bits whatever the compiler fuses (formats.md section 7)
CFLAGS_ALL := -std=c17 -D_GNU_SOURCE -Iinclude -Isrc $(WARN) $(OPT) -g -fPIC -fvisibility=hidden -ffp-contract=off -pthread \
  $(if $(HAVE_ISAL),-DECG_HAVE_ISAL) $(PKG_CFLAGS) $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer) $(CFLAGS)
LDFLAGS_ALL := -pthread $(if $(SAN),-fsanitize=$(SAN)) $(LDFLAGS)
LIBS := $(PKG_LIBS) -lm

LIB_SRC := $(wildcard src/*/*.c)
TOOL_SRC := $(wildcard tool/*.c)
LIB_OBJ := $(LIB_SRC:%.c=$(B)/obj/%.o) $(B)/obj/gen/page_assets.o
TOOL_OBJ := $(TOOL_SRC:%.c=$(B)/obj/%.o)
TEST_BIN := $(patsubst test/%.c,$(B)/test/%,$(wildcard test/*/test_*.c))
GOLDEN_OBJ := $(patsubst %.c,$(B)/obj/%.o,$(wildcard test/golden/*.c))
FUZZ_BIN := $(patsubst fuzz/%.c,$(B)/fuzz/%,$(wildcard fuzz/fuzz_*.c))

all: $(B)/ecgraft $(B)/libecgraft.a $(B)/libecgraft.so

ifeq ($(shell uname -m),x86_64)
$(B)/obj/src/num/avx2.o: CFLAGS_ALL += -mavx2 -mfma -O3
$(B)/obj/src/num/avx512.o $(B)/obj/src/num/amx.o: CFLAGS_ALL += -mavx512f -mavx512dq -mavx512bw -mavx512vl -mfma -mprefer-vector-width=512 -O3
endif
$(B)/obj/src/base/version.o: CFLAGS_ALL += -DECG_VERSION='"$(VERSION)"' -DECG_COMMIT='"$(COMMIT)"' -DECG_BUILD='"$(notdir $(CC)) $(OPT) $(SAN)"'

$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP -c $< -o $@

# the local web page lies in the program
PAGE := $(sort $(wildcard src/report/page/*.html src/report/page/*.css src/report/page/*.js))
$(B)/gen/page_assets.c: src/report/page/embed.sh src/report/page $(PAGE)
	@mkdir -p $(@D)
	sh $< $(PAGE) > $@.part && mv $@.part $@
$(B)/obj/gen/page_assets.o: $(B)/gen/page_assets.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP -c $< -o $@

$(B)/libecgraft.a: $(LIB_OBJ)
	@rm -f $@
	ar rcs $@ $^
$(B)/libecgraft.so: $(LIB_OBJ)
	$(CC) -shared $(LDFLAGS_ALL) -Wl,-soname,libecgraft.so.0 -o $@ $^ $(LIBS)
$(B)/ecgraft: $(TOOL_OBJ) $(B)/libecgraft.a
	$(CC) $(LDFLAGS_ALL) -o $@ $(TOOL_OBJ) $(B)/libecgraft.a $(LIBS)

# ---- tests
$(B)/test/%: $(B)/obj/test/%.o $(B)/libecgraft.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) $(B)/libecgraft.a $(LIBS) -lcmocka
$(B)/test/cohort/test_synth_waveform: $(B)/obj/test/cohort/delineate.o
$(B)/test/golden/golden: $(GOLDEN_OBJ) $(B)/libecgraft.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $(GOLDEN_OBJ) $(B)/libecgraft.a $(LIBS)
$(B)/obj/test/%.o: CFLAGS_ALL += -Itest

tests: $(TEST_BIN) $(B)/test/golden/golden
# a fresh machine has no pkg-config at the time this file is read: hence the second make
test: deps deps-test
	@$(MAKE) --no-print-directory all tests replays
	@B=$(B) sh test/run.sh
GOLDEN ?= $(or $(ECGRAFT_GOLDEN),../shared/golden)
DATA ?= $(or $(ECGRAFT_DATA),../shared/data)
test-golden: $(B)/test/golden/golden
	@$(B)/test/golden/golden $(GOLDEN)
test-data: $(B)/test/ecg/test_data
	@$(B)/test/ecg/test_data $(DATA)
check: all
	@B=$(B) CC="$(CC)" sh test/check.sh

# ---- real beside synthetic: the tables of docs/realism.md
$(B)/bench/realism: $(B)/obj/bench/realism.o $(B)/obj/test/cohort/delineate.o $(B)/libecgraft.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)
$(B)/bench/%: $(B)/obj/bench/%.o $(B)/libecgraft.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)
$(B)/obj/bench/%.o: CFLAGS_ALL += -Itest
realism: $(B)/bench/realism
	@$(B)/bench/realism $(DATA)

# ---- fuzzing: clang's libFuzzer; the same files run over the stored corpus in `make test` (fuzz/replay.c)
$(B)/fuzz/%: fuzz/%.c $(B)/libecgraft.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -fsanitize=fuzzer -o $@ $< $(B)/libecgraft.a $(LIBS)
fuzz: $(FUZZ_BIN)
$(B)/replay/%: fuzz/%.c fuzz/replay.c $(B)/libecgraft.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $< fuzz/replay.c $(B)/libecgraft.a $(LIBS)
REPLAY_BIN := $(patsubst fuzz/%.c,$(B)/replay/%,$(wildcard fuzz/fuzz_*.c))
replays: $(REPLAY_BIN)

# ---- packages (Debian 12); nothing is asked for when everything is there
DEPS := gcc make pkg-config libc6-dev libisal-dev zlib1g-dev libjansson-dev libyaml-dev libflac-dev libzip-dev libmicrohttpd-dev
DEPS_TEST := libcmocka-dev g++ python3-numpy python3-pandas python3-sklearn poppler-utils clang libclang-rt-14-dev chromium
install-missing = @missing=$$(for p in $(1); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done); \
	[ -z "$$missing" ] || { echo "installing" $$missing; sudo=; [ $$(id -u) = 0 ] || sudo=sudo; \
	$$sudo apt-get update -q && $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing; }
deps:
	$(call install-missing,$(DEPS))
deps-test:
	$(call install-missing,$(DEPS_TEST))

# ---- everything end to end on the embedded synthetic cohort
demo: deps
	@$(MAKE) --no-print-directory -j2 $(B)/ecgraft
	@B=$(B) sh examples/demo.sh

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/include
	install $(B)/ecgraft $(DESTDIR)$(PREFIX)/bin/ecgraft
	install -m 644 include/ecgraft.h $(DESTDIR)$(PREFIX)/include/ecgraft.h
	install -m 644 $(B)/libecgraft.a $(DESTDIR)$(PREFIX)/lib/libecgraft.a
	install $(B)/libecgraft.so $(DESTDIR)$(PREFIX)/lib/libecgraft.so.$(VERSION)
	ln -sf libecgraft.so.$(VERSION) $(DESTDIR)$(PREFIX)/lib/libecgraft.so.0
	ln -sf libecgraft.so.0 $(DESTDIR)$(PREFIX)/lib/libecgraft.so
	printf 'prefix=%s\nlibdir=$${prefix}/lib\nincludedir=$${prefix}/include\n\nName: ecgraft\nDescription: ECG encoder that has learned from blood tests and vital signs\nVersion: %s\nRequires.private: %s\nLibs: -L$${libdir} -lecgraft\nLibs.private: -lm -pthread\nCflags: -I$${includedir}\n' \
	  '$(PREFIX)' '$(VERSION)' '$(PKGS)' > $(DESTDIR)$(PREFIX)/lib/pkgconfig/ecgraft.pc

-include $(LIB_OBJ:.o=.d) $(TOOL_OBJ:.o=.d) $(GOLDEN_OBJ:.o=.d) $(patsubst $(B)/test/%,$(B)/obj/test/%.d,$(TEST_BIN))

clean:
	rm -rf build build-*

.PHONY: all tests test test-golden test-data check realism fuzz replays clean demo deps deps-test install
.SECONDARY:
