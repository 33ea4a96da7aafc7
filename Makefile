# SPDX-License-Identifier: Apache-2.0
# edged: build, run, check, install. `make help` lists what there is.
#
#   make V=1               show the commands
#   make SANITIZE=address  address and undefined behaviour sanitizers, in build-address (or thread)
#   make CROSS=arm64       cross build in build-arm64 (or armhf); first: make deps CROSS=arm64
#   CC, CFLAGS, LDFLAGS, DESTDIR, PREFIX are yours to set

VERSION := 0.1.0
PREFIX  ?= /usr
SANITIZE ?=
CROSS    ?=
BUILD   ?= build$(if $(SANITIZE),-$(SANITIZE))$(if $(CROSS),-$(CROSS))
Q       := $(if $(V),,@)
say      = $(if $(V),,@printf '  %-7s %s\n' $(1) $(2))

TRIPLET_arm64 := aarch64-linux-gnu
TRIPLET_armhf := arm-linux-gnueabihf
TRIPLET := $(TRIPLET_$(CROSS))
ifneq ($(CROSS),)
SYSROOT    ?= $(CURDIR)/$(BUILD)/sysroot
CC         := $(TRIPLET)-gcc --sysroot=$(SYSROOT)
AR         := $(TRIPLET)-ar
PKG_CONFIG := PKG_CONFIG_SYSROOT_DIR=$(SYSROOT) \
              PKG_CONFIG_LIBDIR=$(SYSROOT)/usr/lib/$(TRIPLET)/pkgconfig:$(SYSROOT)/usr/share/pkgconfig pkg-config
QEMU_arm64 := qemu-aarch64
QEMU_armhf := qemu-arm
# Tests run in the emulator; it makes them slow, never wrong.
export RUNNER := $(QEMU_$(CROSS)) -L $(SYSROOT)
endif
PKG_CONFIG ?= pkg-config

# --- flags: CFLAGS and LDFLAGS belong to the user, ours have names of their own
CFLAGS   ?= -O2 -g
OURS     := -std=gnu11 -Iinclude -Idaemon -Itests/lib -DEDGED_VERSION='"$(VERSION)"' -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -pthread -fPIC -MMD -MP \
            -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wno-sign-conversion -Wvla \
            -fvisibility=hidden -fstack-protector-strong
OUR_LD   := -pthread -Wl,-z,relro,-z,now -Wl,--as-needed
ifeq ($(SANITIZE),address)
OURS     += -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
OUR_LD   += -fsanitize=address,undefined
else ifeq ($(SANITIZE),thread)
OURS     += -fsanitize=thread -fno-omit-frame-pointer
OUR_LD   += -fsanitize=thread
else ifeq ($(SANITIZE),fuzz)
CC       := clang
OURS     += -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
OUR_LD   += -fsanitize=fuzzer,address,undefined
else
OURS     += -D_FORTIFY_SOURCE=2 -fstack-clash-protection $(if $(CROSS),,-fcf-protection)
endif

# --- the parts. Order of the layers: each may use those to its left (checked by check-source)
LAYERS  := base core conf io store plugin cluster
libs     = $(if $(strip $(1)),$(shell $(PKG_CONFIG) --libs $(1)))
cflags   = $(if $(strip $(1)),$(shell $(PKG_CONFIG) --cflags $(1)))
PC      := libevent_core libevent_pthreads libmicrohttpd jansson openssl sqlite3 libnghttp2 libsodium liblz4
LIBS     = $(call libs,$(PC)) -lwslay -ldl -lm
CTL_LIBS = $(call libs,libcurl jansson openssl)
PLUGIN_LIBS_shadow    = $(call libs,jansson)
PLUGIN_LIBS_broker    = $(call libs,jansson openssl libsodium)
PLUGIN_LIBS_things    = $(call libs,jansson openssl libsodium) -lm
PLUGIN_LIBS_bridge    = $(call libs,jansson)
PLUGIN_LIBS_cache     = $(call libs,jansson)
PLUGIN_LIBS_devices   = $(call libs,jansson)
PLUGIN_LIBS_jobs      = $(call libs,jansson)
PLUGIN_LIBS_mesh      = $(call libs,jansson)
# Files of other plugins that a plugin is linked with: the bridge speaks MQTT with the broker's codec,
# things keeps passwords as the broker does, and asks who comes over REST as shadows do
PLUGIN_MORE_bridge   := $(patsubst %,plugins/broker/%.c,codec props reason topic wire)
PLUGIN_MORE_things   := $(patsubst %,plugins/broker/%.c,password text) plugins/shadow/gate.c
# The mesh has its numbers and topics as the broker, tries again and counts as the bridge
PLUGIN_MORE_mesh     := $(patsubst %,plugins/broker/%.c,topic wire) $(patsubst %,plugins/bridge/%.c,backoff words)
# Shadows that are told to other nodes: numbers as the broker has them
PLUGIN_MORE_shadow   := plugins/broker/wire.c
# The broker's data plane asks who comes as the shadows' does, and answers as it does
PLUGIN_MORE_broker   := plugins/shadow/gate.c plugins/shadow/aws.c
# Devices are shown over REST as shadows are
PLUGIN_MORE_devices  := $(patsubst %,plugins/shadow/%.c,feed gate name query) plugins/broker/text.c
# The gate of REST, requests in flight, names of things: as shadows have them
PLUGIN_MORE_jobs     := $(patsubst %,plugins/shadow/%.c,aws busy gate name query)

objects  = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
PLUGINS := $(notdir $(patsubst %/,%,$(wildcard plugins/*/)))
plugin_sources = $(filter-out %_test.c,$(wildcard plugins/$(1)/*.c)) $(PLUGIN_MORE_$(1))
plugin_tests   = $(wildcard plugins/$(1)/*_test.c)
$(foreach l,$(LAYERS),$(eval $(l)_SOURCES := $(wildcard daemon/$(l)/*.c)))
APP_SOURCES := $(filter-out daemon/main.c,$(wildcard daemon/*.c))
CTL_SOURCES := $(filter-out daemon/ctl/main.c,$(wildcard daemon/ctl/*.c))
ARCHIVES    := $(LAYERS:%=$(BUILD)/lib/%.a)
LINK_ALL     = -Wl,--start-group $(BUILD)/lib/app.a $(ARCHIVES) -Wl,--end-group

SOURCES := $(foreach l,$(LAYERS),$($(l)_SOURCES)) daemon/main.c $(APP_SOURCES) $(CTL_SOURCES) daemon/ctl/main.c \
           $(wildcard plugins/*/*.c tests/unit/*/*.c tests/lib/*.c tests/scenario/*.c)
BINARIES := $(if $(wildcard daemon/main.c),$(BUILD)/edged) $(if $(CTL_SOURCES),$(BUILD)/edgectl)

.PHONY: all
all: $(BINARIES) $(PLUGINS:%=$(BUILD)/plugins/%.so) ## build edged, edgectl and the plugins (default)

$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(OURS) $(call cflags,$(PC_CFLAGS)) $(CFLAGS) $(CPPFLAGS) -c $< -o $@

define layer
$(BUILD)/lib/$(1).a: $(call objects,$($(1)_SOURCES))
	@mkdir -p $$(@D)
	$$(call say,AR,$$@)
	$(Q)rm -f $$@ && $$(AR) rcs $$@ $$^
endef
$(foreach l,$(LAYERS),$(eval $(call layer,$(l))))
app_SOURCES := $(APP_SOURCES)
$(eval $(call layer,app))
testlib_SOURCES := $(wildcard tests/lib/*.c)
$(eval $(call layer,testlib))

$(BUILD)/edged: $(call objects,daemon/main.c) $(BUILD)/lib/app.a $(ARCHIVES)
	$(call say,LD,$@)
	$(Q)$(CC) $(OUR_LD) $(LDFLAGS) -pie -o $@ $(call objects,daemon/main.c) $(LINK_ALL) $(LIBS)

ctl_SOURCES := $(CTL_SOURCES)
$(eval $(call layer,ctl))
$(BUILD)/edgectl: $(call objects,daemon/ctl/main.c) $(BUILD)/lib/ctl.a $(BUILD)/lib/conf.a $(BUILD)/lib/base.a
	$(call say,LD,$@)
	$(Q)$(CC) $(OUR_LD) $(LDFLAGS) -pie -o $@ $^ $(CTL_LIBS)

define plugin
$(BUILD)/plugins/$(1).so: $(call objects,$(call plugin_sources,$(1)))
	@mkdir -p $$(@D)
	$$(call say,PLUGIN,$$@)
	$(Q)$$(CC) -shared $$(OUR_LD) $$(LDFLAGS) $$(if $$(SANITIZE),,-Wl$$(comma)-z$$(comma)defs) -o $$@.tmp $$^ $$(PLUGIN_LIBS_$(1)) && mv $$@.tmp $$@
endef
comma := ,
$(foreach p,$(PLUGINS),$(eval $(call plugin,$(p))))

# --- tests
# A test of layer L links L and what is below it; a plugin's test links that plugin's objects.
below_base    := base
below_core    := core base
below_conf    := conf core base
below_io      := io core base
below_store   := store core base
below_plugin  := plugin conf io store core base
below_cluster := cluster conf io store core base
below_app     := app $(LAYERS)
below_ctl     := ctl conf base
UNIT := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/*/*_test.c)) \
        $(patsubst plugins/%.c,$(BUILD)/tests/plugins/%,$(wildcard plugins/*/*_test.c))
TEST_LIBS = $(call libs,cmocka)
# malloc and friends go through tests/lib/heap.c, which can make the n-th call fail
WRAP := $(if $(SANITIZE),,-Wl$(comma)--wrap=malloc$(comma)--wrap=calloc$(comma)--wrap=realloc$(comma)--wrap=strdup)

define unit
$(BUILD)/tests/$(1)/%: $(BUILD)/obj/tests/unit/$(1)/%.o $(below_$(1):%=$(BUILD)/lib/%.a) $(BUILD)/lib/testlib.a
	@mkdir -p $$(@D)
	$$(call say,TEST,$$@)
	$(Q)$$(CC) $$(OUR_LD) $$(LDFLAGS) $$(WRAP) -o $$@ $$< -Wl,--start-group $(BUILD)/lib/testlib.a $(below_$(1):%=$(BUILD)/lib/%.a) -Wl,--end-group $$(LIBS) $(if $(filter ctl,$(1)),$$(CTL_LIBS)) $$(TEST_LIBS)
endef
$(foreach l,$(LAYERS) app ctl,$(eval $(call unit,$(l))))

define plugin_unit
$(BUILD)/tests/plugins/$(1)/%: $(BUILD)/obj/plugins/$(1)/%.o $(call objects,$(call plugin_sources,$(1))) $(BUILD)/lib/testlib.a $(BUILD)/lib/base.a
	@mkdir -p $$(@D)
	$$(call say,TEST,$$@)
	$(Q)$$(CC) $$(OUR_LD) $$(LDFLAGS) $$(WRAP) -o $$@ $$^ $$(PLUGIN_LIBS_$(1)) $$(LIBS) $$(TEST_LIBS)
endef
$(foreach p,$(PLUGINS),$(eval $(call plugin_unit,$(p))))

# Test plugins of the plugin host: from the past, from the future, and all that it must refuse
FIXTURES := $(patsubst tests/abi/%.c,$(BUILD)/tests/abi/%.so,$(wildcard tests/abi/*.c))
$(BUILD)/tests/abi/past.so: FIXTURE_FLAGS := -Itests/abi/v1.0
$(FIXTURES): $(BUILD)/tests/abi/%.so: tests/abi/%.c $(wildcard tests/abi/*.h tests/abi/*/*/*.h include/edged/*.h) Makefile
	@mkdir -p $(@D)
	$(call say,FIXTURE,$@)
	$(Q)$(CC) $(FIXTURE_FLAGS) $(filter-out -MMD -MP,$(OURS)) $(CFLAGS) $(CPPFLAGS) -shared $(LDFLAGS) -o $@ $<
$(filter $(BUILD)/tests/plugin/%,$(UNIT)): | $(FIXTURES) $(BUILD)/plugins/hello.so
$(BUILD)/tests/app/loops_test: | $(BUILD)/plugins/broker.so

.PHONY: unit
unit: $(UNIT) ## build and run the unit tests
	$(Q)tests/run $(UNIT)


# make run and make check build on all cores when nobody says otherwise
jobs = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))
SCENARIOS := $(wildcard tests/scenario/*_test.py)
.PHONY: check
check: deps-check ## install what is missing, build, run all tests (unit and scenario)
	$(Q)$(MAKE) --no-print-directory $(jobs) check-built

# Loaded into a daemon: recorder writes down what that does to its files, clock gives it another time. Without the sanitizers,
# which bring their own calls
PRELOADED := $(BUILD)/tests/recorder.so $(BUILD)/tests/clock.so
$(PRELOADED): $(BUILD)/tests/%.so: tests/scenario/%.c Makefile
	@mkdir -p $(@D)
	$(call say,LIB,$@)
	$(Q)$(CC) $(filter-out -MMD -MP -fsanitize=% -fno-sanitize-recover=%,$(OURS)) $(CFLAGS) $(CPPFLAGS) -shared $(LDFLAGS) -o $@ $<

# Cables with delay and loss between network namespaces
$(BUILD)/tests/wire: tests/scenario/wire.c Makefile
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(OURS) $(CFLAGS) $(CPPFLAGS) $(OUR_LD) $(LDFLAGS) -o $@ $<

.PHONY: check-built
check-built: all $(UNIT) $(PRELOADED) $(BUILD)/tests/wire
	$(Q)BUILD=$(CURDIR)/$(BUILD) tests/run $(UNIT) $(SCENARIOS)

.PHONY: run
run: deps-run ## install what is missing, build, start a gateway in the foreground (--dev)
	$(Q)$(MAKE) --no-print-directory $(jobs) all
	$(Q)exec $(BUILD)/edged --dev --state $(BUILD)/state --plugins $(BUILD)/plugins

.PHONY: bench
bench: all $(BUILD)/bench/load $(BUILD)/bench/policy ## print what start, idling, a request and a message cost, beside mosquitto and FLASHMQ=binary
	$(Q)BUILD=$(CURDIR)/$(BUILD) /usr/bin/python3 tests/bench/broker_bench.py
	$(Q)BUILD=$(CURDIR)/$(BUILD) /usr/bin/python3 tests/bench/gateway_bench.py
	$(Q)BUILD=$(CURDIR)/$(BUILD) /usr/bin/python3 tests/bench/shadow_bench.py
	$(Q)BUILD=$(CURDIR)/$(BUILD) /usr/bin/python3 tests/bench/things_bench.py
	$(Q)BUILD=$(CURDIR)/$(BUILD) /usr/bin/python3 tests/bench/mesh_bench.py

.PHONY: bench-cluster
bench-cluster: all $(BUILD)/tests/wire ## how soon a cluster notices and what it costs, beside serf and keepalived; as root, NODES (8), ROUNDS (5)
	$(Q)BUILD=$(CURDIR)/$(BUILD) /usr/bin/python3 tests/bench/cluster_bench.py

$(BUILD)/bench/load: $(BUILD)/obj/tests/bench/load.o
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(OUR_LD) $(LDFLAGS) -o $@ $<

$(BUILD)/bench/policy: $(BUILD)/obj/tests/bench/policy.o $(call objects,$(call plugin_sources,things))
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(OUR_LD) $(LDFLAGS) -o $@ $^ $(PLUGIN_LIBS_things)

# --- packages (Debian 12)
RUN_PACKAGES   := gcc libc6-dev make pkg-config libevent-dev libmicrohttpd-dev libjansson-dev libssl-dev libsqlite3-dev \
                  libcurl4-openssl-dev libnghttp2-dev libwslay-dev libsodium-dev liblz4-dev
CHECK_PACKAGES := $(RUN_PACKAGES) libcmocka-dev python3 python3-paho-mqtt libpaho-mqtt-dev mosquitto mosquitto-clients \
                  openssl curl awscli python3-boto3 \
                  $(if $(shell command -v npm),,nodejs npm)
FUZZ_PACKAGES   := $(RUN_PACKAGES) clang
SOURCE_PACKAGES := $(RUN_PACKAGES) g++ git clang-format universal-ctags shellcheck python3
CROSS_PACKAGES  := make pkg-config crossbuild-essential-$(CROSS) qemu-user
deps_run    := $(RUN_PACKAGES)
deps_check  := $(CHECK_PACKAGES)
deps_fuzz   := $(FUZZ_PACKAGES)
deps_source := $(SOURCE_PACKAGES)
deps_cross  := $(CROSS_PACKAGES)
deps_tidy   := $(RUN_PACKAGES) clang-tidy python3
.PHONY: deps-run deps-check deps-fuzz deps-source deps-cross deps-tidy
deps-run deps-check deps-fuzz deps-source deps-cross deps-tidy: deps-%:
	$(Q)tests/need.sh $(deps_$*)

# The libraries of another architecture are unpacked into SYSROOT, not installed.
.PHONY: deps
ifeq ($(CROSS),)
deps: deps-check ## install what make check needs; with CROSS=arm64: what a cross build and its unit tests need
else
deps: deps-cross
	$(Q)tests/sysroot.sh $(CROSS) $(SYSROOT) $(filter lib%,$(CHECK_PACKAGES))
endif

# --- generated files: sample configuration, JSON Schema, edged.conf(5); a unit test says when they are out of date
.PHONY: generate
generate: $(BUILD)/tests/conf/generated_test ## write the files that are made from the configuration tables
	$(Q)EDGED_GENERATE=1 $<

# --- install: DESTDIR goes in front of everything; what the daemon is told about is below PREFIX
bindir     = $(PREFIX)/bin
libdir     = $(PREFIX)/lib
datadir    = $(PREFIX)/share
includedir = $(PREFIX)/include
sysconfdir ?= /etc
unitdir    ?= $(PREFIX)/lib/systemd/system
sysusersdir ?= $(PREFIX)/lib/sysusers.d
fill       = sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' -e 's|/usr/bin/edged|$(bindir)/edged|' \
             $(if $(filter-out /usr,$(PREFIX)),-e 's|^ExecPaths=|&$(libdir)/edged |')
put        = install -D -m $(1) $(2) $(DESTDIR)$(3)
.PHONY: install
install: all ## install into DESTDIR, below PREFIX (/usr)
	$(Q)$(call put,755,$(BUILD)/edged,$(bindir)/edged)
	$(Q)$(call put,755,$(BUILD)/edgectl,$(bindir)/edgectl)
	$(Q)install -d -m 755 $(DESTDIR)$(libdir)/edged/plugins
	$(Q)$(foreach p,$(PLUGINS),$(call put,644,$(BUILD)/plugins/$(p).so,$(libdir)/edged/plugins/$(p).so) &&) true
	$(Q)$(foreach h,$(wildcard include/edged/*.h),$(call put,644,$(h),$(includedir)/edged/$(notdir $(h))) &&) true
	$(Q)install -d $(DESTDIR)$(datadir)/pkgconfig $(DESTDIR)$(unitdir)
	$(Q)$(fill) conf/edged-plugin.pc.in > $(DESTDIR)$(datadir)/pkgconfig/edged-plugin.pc
	$(Q)$(fill) systemd/edged.service > $(DESTDIR)$(unitdir)/edged.service
	$(Q)$(call put,644,systemd/port-443.conf,$(datadir)/doc/edged/port-443.conf)
	$(Q)$(call put,644,systemd/edged.sysusers,$(sysusersdir)/edged.conf)
	$(Q)$(call put,644,docs/edged.8,$(datadir)/man/man8/edged.8)
	$(Q)$(call put,644,docs/edgectl.1,$(datadir)/man/man1/edgectl.1)
	$(Q)$(call put,644,docs/edged.conf.5,$(datadir)/man/man5/edged.conf.5)
	$(Q)$(call put,644,conf/edged.schema.json,$(datadir)/doc/edged/edged.schema.json)
	$(Q)$(call put,644,conf/edgectl.bash,$(datadir)/bash-completion/completions/edgectl)
	$(Q)test -e $(DESTDIR)$(sysconfdir)/edged/edged.conf || \
		$(call put,644,conf/edged.conf,$(sysconfdir)/edged/edged.conf)

# --- simulated clusters
.PHONY: sim
SIM_SECONDS ?= 60
sim: $(BUILD)/tests/sim ## simulate clusters under trouble for SIM_SECONDS (60), from SIM_SEED or a fresh seed that is printed
	$(Q)$(BUILD)/tests/sim $(SIM_SECONDS) $(SIM_SEED)
.PHONY: sim-figures
SIM_RUNS ?= 100
sim-figures: $(BUILD)/tests/sim-figures ## how fast and how cheap simulated clusters are, SIM_RUNS (100) of each, from SIM_SEED or 1
	$(Q)$(BUILD)/tests/sim-figures $(SIM_RUNS) $(SIM_SEED)
$(BUILD)/tests/sim: $(call objects,tests/sim/main.c tests/sim/troubles.c tests/sim/watch.c)
$(BUILD)/tests/sim-figures: $(BUILD)/obj/tests/sim/figures.o
$(BUILD)/tests/sim $(BUILD)/tests/sim-figures: $(BUILD)/obj/tests/lib/sim.o $(BUILD)/lib/core.a $(BUILD)/lib/base.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(OUR_LD) $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group -lm

# The plugins themselves, on hosts in memory: what they ask libc for is the program's
.PHONY: sim-messages
sim-messages: $(BUILD)/tests/sim-messages ## simulate messages between nodes under trouble, as make sim does
	$(Q)$(BUILD)/tests/sim-messages $(SIM_SECONDS) $(SIM_SEED)
$(BUILD)/tests/sim-messages: $(call objects,$(patsubst %,tests/sim/%.c,messages fleet client)) $(BUILD)/lib/testlib.a $(BUILD)/lib/base.a \
		| $(BUILD)/plugins/broker.so $(BUILD)/plugins/mesh.so
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(OUR_LD) $(LDFLAGS) $(WRAP) -rdynamic -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS)

# --- fuzzing: each target names in its first line the layers (and plugins/NAME) that it is linked with; NAME_fuzz has NAME.c
# beside it, if there is one
FUZZ_SECONDS ?= 60
FUZZ := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*_fuzz.c))
define fuzz
fuzz_parts_$(1) := $(shell sed -n '1s|.*layers: *\(.*[^ ]\) *\*/|\1|p' tests/fuzz/$(1).c)
$(BUILD)/fuzz/$(1): $(BUILD)/obj/tests/fuzz/$(1).o $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/fuzz/$(1:_fuzz=).c)) \
		$$(foreach p,$$(fuzz_parts_$(1)),$$(if $$(findstring /,$$(p)),$$(call objects,$$(call plugin_sources,$$(notdir $$(p)))),$(BUILD)/lib/$$(p).a))
	@mkdir -p $$(@D)
	$$(call say,FUZZ,$$@)
	$(Q)$$(CC) $$(OUR_LD) $$(LDFLAGS) -o $$@ -Wl,--start-group $$^ -Wl,--end-group $$(LIBS) $$(foreach p,$$(fuzz_parts_$(1)),$$(PLUGIN_LIBS_$$(notdir $$(p))))
endef
$(foreach f,$(FUZZ),$(eval $(call fuzz,$(f))))
.PHONY: fuzz fuzz-built
fuzz: deps-fuzz ## fuzz each target of tests/fuzz for FUZZ_SECONDS (60), in build-fuzz
	$(Q)$(MAKE) --no-print-directory SANITIZE=fuzz fuzz-built
fuzz-built: $(FUZZ:%=$(BUILD)/fuzz/%)
	$(Q)FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz/run $(FUZZ:%=$(BUILD)/fuzz/%)

# --- what can be said without running anything
.PHONY: check-source tidy
check-source: deps-source ## layers, banned calls, sizes, format, shell scripts, public headers by themselves
	$(Q)tests/check-source.sh
tidy: deps-tidy compile_commands.json ## clang-tidy over all sources, with .clang-tidy
	$(Q)printf '%s\n' $(filter-out tests/%,$(SOURCES)) | xargs -P $$(nproc) -n 4 clang-tidy --quiet -p .
# For editors and clang-tidy. Made anew each time: it depends on which files there are.
.PHONY: compile_commands.json
compile_commands.json: ## how each file is compiled, for editors
	$(Q)tests/compile-commands.py $(wildcard $(SOURCES) tests/fuzz/*_fuzz.c) -- $(CC) $(filter-out -MMD -MP,$(OURS)) $(CFLAGS) > $@

# objects that make takes for intermediate stay
.SECONDARY:

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{printf "  %-16s %s\n", $$1, $$2}'

.PHONY: clean
clean: ## remove this build folder
	$(Q)rm -rf $(BUILD)

-include $(wildcard $(BUILD)/obj/*/*.d $(BUILD)/obj/*/*/*.d $(BUILD)/obj/*/*/*/*.d)
