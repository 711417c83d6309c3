#!/usr/bin/env bash
# What the system must have to build and use Vigil: FFmpeg's libraries, libclang, a C compiler,
# Python, psql, Rust, and what the tests' clients run on. Only what is missing is installed, with apt where there is apt.
source "$(dirname "$0")/lib.sh"

# The newest libclang that bindgen has been tried with, and the oldest that it reads.
newest_libclang=19
oldest_libclang=14

# The Rust that Cargo.toml asks for.
rust_version=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

# A libclang together with its own headers: with one alone bindgen finds no stddef.h.
libclang_installed() {
    if [ -n "${LIBCLANG_PATH:-}" ]; then return 0; fi
    if ! have dpkg-query; then
        ldconfig -p 2>/dev/null | grep -q 'libclang\(-[0-9.]*\)\?\.so'
        return
    fi
    local n
    for n in $(seq $newest_libclang -1 $oldest_libclang); do
        if installed "libclang1-$n" && installed "libclang-common-$n-dev"; then return 0; fi
    done
    return 1
}

installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Fills `missing` with the names of Debian packages; asks for what they give rather than for the
# packages, so that what came from elsewhere counts.
find_missing() {
    missing=()
    if ! have cc; then missing+=(gcc libc6-dev); fi
    if ! have make; then missing+=(make); fi
    if ! have pkg-config; then missing+=(pkg-config); fi
    local library
    for library in avcodec avformat avutil swscale; do
        if ! have pkg-config || ! pkg-config --exists "lib$library"; then
            missing+=("lib$library-dev")
        fi
    done
    if ! libclang_installed; then missing+=(libclang); fi
    if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then missing+=(python3-venv); fi
    if ! have psql; then missing+=(postgresql-client); fi
    # The clients of the tests.
    if ! have pgbench; then missing+=(postgresql); fi
    if ! have node || ! have npm; then missing+=(nodejs npm); fi
    if ! have java || ! have javac; then missing+=(default-jdk-headless); fi
    if [ ! -e /usr/share/java/postgresql.jar ]; then missing+=(libpostgresql-jdbc-java); fi
    if ! installed odbc-postgresql; then missing+=(odbc-postgresql unixodbc); fi
}

# The two packages of the newest libclang that apt offers.
libclang_packages() {
    local n
    for n in $(seq $newest_libclang -1 $oldest_libclang); do
        # Both must have a candidate.
        if [ "$(apt-cache policy "libclang1-$n" "libclang-common-$n-dev" 2>/dev/null |
            grep -c '^ *Candidate: [^(]')" = 2 ]; then
            echo "libclang1-$n libclang-common-$n-dev"
            return
        fi
    done
    fail "apt offers no libclang from $oldest_libclang to $newest_libclang" \
        "Install one by hand and name its folder in LIBCLANG_PATH."
}

install_missing() {
    if ! have apt-get; then
        fail "this system has no apt, and is missing: ${missing[*]} (names of Debian packages)" \
            "Install their counterparts by hand and run this again."
    fi
    local as_root=()
    if [ "$(id -u)" != 0 ]; then
        if ! have sudo; then
            fail "these packages are missing and only root can install them: ${missing[*]}" \
                "Run \"apt-get install ${missing[*]}\" as root, then this again."
        fi
        as_root=(sudo)
    fi
    say "installing with apt: ${missing[*]}"
    ${as_root[@]+"${as_root[@]}"} apt-get -qq update
    local names=() name pair
    for name in "${missing[@]}"; do
        if [ "$name" = libclang ]; then
            pair=$(libclang_packages)
            read -ra pair <<<"$pair"
            names+=("${pair[@]}")
        else
            names+=("$name")
        fi
    done
    ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -y --no-install-recommends install "${names[@]}" >/dev/null
    find_missing
    if [ ${#missing[@]} != 0 ]; then
        fail "still missing after the installation: ${missing[*]}"
    fi
}

check_rust() {
    have cargo || fail "cargo is not there" "Install Rust $rust_version or newer with rustup."
    local found
    found=$(cargo --version | cut -d ' ' -f 2)
    if [ "$(printf '%s\n' "$rust_version" "$found" | sort -V | head -n 1)" != "$rust_version" ]; then
        fail "Rust $rust_version or newer is needed, this is $found" "Run \"rustup update\"."
    fi
}

find_missing
if [ ${#missing[@]} = 0 ]; then
    say "system packages: all there"
else
    install_missing
fi
check_rust
