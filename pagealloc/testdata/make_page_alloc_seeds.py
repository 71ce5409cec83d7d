# Copyright 2026 The Tricolor Authors
# SPDX-License-Identifier: Apache-2.0
"""Writes the seed corpus of page_alloc_fuzz.cc into page_alloc_fuzz/.

Each seed is a story of its own; the encoding is the one that page_alloc_fuzz.cc
decodes. Run it in this folder after changing either.
"""

import os
import struct

PLACES = 8  # entries of kPlaces


def chunk(place, offset):
    assert place < PLACES and offset < 8
    return bytes([place * 8 + offset])


def word(n):
    return struct.pack("<H", n)


def grow(place, offset, chunks):
    return b"\0" + chunk(place, offset) + bytes([chunks - 1])


def grow_failing(place, offset, chunks, k):
    return b"\1" + chunk(place, offset) + bytes([chunks - 1, k - 1])


def alloc(pages):
    if pages <= 64:
        return bytes([2, pages - 1])
    return b"\4" + word(pages - 1)


def aligned(pages, log):
    return bytes([5, pages - 1, log])


def free(place, offset, page, skip, pages):
    at = chunk(place, offset) + word(page)
    if pages <= 64 and skip < 4:
        return b"\6" + at + bytes([skip, pages - 1])
    return b"\x08" + at + word(skip) + word(pages - 1)


def refill(cache):
    return bytes([9, cache])


def cache_alloc(cache, pages):
    return bytes([10, cache, pages - 1])


def flush(cache):
    return bytes([12, cache])


def scavenge(pages):
    return b"\x0d" + word(pages - 1)


def take(pages):
    return b"\x0e" + word(pages - 1)


def give_back(released):
    return bytes([15, 0 if released else 1])


def scavenge_in_background(pages):
    return b"\x11" + word(pages - 1)


def take_in_background(pages):
    return b"\x12" + word(pages - 1)


SCAVENGE_FAILING = bytes([15, 0xFF])
NEXT_GENERATION = bytes([16])

# The first byte: OS pages of 4 KiB << n; from 5 on without huge pages.
OS_4K, OS_8K, OS_16K, OS_32K, OS_64K = range(5)
OS_4K_NO_HUGE, OS_8K_NO_HUGE, OS_16K_NO_HUGE, OS_32K_NO_HUGE = range(5, 9)

SEEDS = {
    # Fills memory to the last page, and empties it from the middle.
    "exhaust": (OS_4K, [
        grow(0, 0, 2), *[alloc(n) for n in (1, 2, 3, 64, 500, 454, 1, 1)],
        free(0, 0, 256, 0, 512), alloc(511), alloc(2), alloc(1), alloc(1)]),
    # Ranges that are added apart, below and between each other.
    "grow_discontiguous": (OS_4K, [
        grow(3, 0, 1), alloc(10), grow(1, 0, 1), alloc(600), alloc(512),
        grow(2, 0, 2), grow(1, 1, 1), alloc(1000), grow(5, 0, 4),
        alloc(2048), grow(7, 0, 8), alloc(4096)]),
    # Runs over the bounds between the entries of each level.
    "level_bounds": (OS_4K, [
        *[step for place in (1, 2, 3, 5, 6) for step in (
            grow(place, 0, 3), alloc(400), alloc(1000),
            free(place, 0, 400, 10, 600), alloc(590), alloc(136))]]),
    # The operating system refuses tables.
    "grow_failing": (OS_4K, [
        *[grow_failing(place, 0, 2, k) for place in range(8)
          for k in (1, 2, 3)], alloc(1024), alloc(1024), alloc(1)]),
    # Every other page is free; only the end has room.
    "fragments": (OS_8K_NO_HUGE, [
        grow(0, 0, 1), alloc(400),
        *[free(0, 0, 2 * i, 0, 1) for i in range(60)],
        alloc(2), alloc(111), alloc(1), alloc(1), aligned(1, 2), aligned(1, 3),
        free(0, 0, 0, 3, 64), alloc(30)]),
    # Caches in turn, with pages freed under and between them.
    "caches": (OS_4K, [
        grow(0, 0, 1), grow(5, 1, 1), refill(0), cache_alloc(0, 3),
        refill(1), cache_alloc(1, 64), alloc(5), free(0, 0, 0, 1, 2), flush(0),
        refill(2), cache_alloc(2, 1), cache_alloc(2, 16), refill(3),
        *[refill(i % 4) for i in range(14)], alloc(1), flush(3), alloc(1),
        flush(0), flush(1), flush(2)]),
    # The last window of the last chunk goes to a cache: the search address may
    # not go past it.
    "cache_takes_the_end": (OS_4K, [
        grow(6, 0, 1), alloc(448), refill(0), alloc(1), refill(1),
        grow(6, 3, 1), alloc(1), flush(0), alloc(65)]),
    "scavenge": (OS_4K, [
        grow(0, 0, 2), alloc(1024), free(0, 0, 0, 0, 600), scavenge(1),
        alloc(100), scavenge(256), free(0, 1, 300, 0, 40), scavenge(4096),
        SCAVENGE_FAILING, free(0, 0, 0, 3, 9), scavenge(4), alloc(700)]),
    # OS pages of 2 and 8 heap pages, some of them free in part.
    "scavenge_large_os_pages": (OS_64K, [
        grow(0, 0, 1), alloc(512),
        *[free(0, 0, 16 * i + 3, 0, 12) for i in range(20)], scavenge(8),
        alloc(5), free(0, 0, 3, 0, 20), scavenge(100), scavenge(4096)]),
    "scavenge_16k": (OS_16K, [
        grow(4, 0, 1), alloc(512), free(4, 0, 1, 0, 30), scavenge(3),
        free(4, 0, 99, 0, 64), scavenge(4096), alloc(1), free(4, 0, 0, 0, 1),
        scavenge(1)]),
    # A candidate is on its way while others allocate, free, grow and refill.
    "candidate_in_flight": (OS_4K, [
        grow(0, 0, 1), alloc(512), free(0, 0, 0, 0, 400), take(100), alloc(320),
        refill(0), grow(1, 0, 1), free(0, 0, 450, 0, 20), take(10),
        give_back(True), take(4096), alloc(512), give_back(False),
        alloc(20), flush(0)]),
    # A dense chunk that becomes sparse is open a generation later; then it is
    # filled and emptied again.
    "dense_for_a_generation": (OS_4K, [
        grow(0, 0, 2), alloc(1000), free(0, 0, 100, 0, 4),
        scavenge_in_background(64), NEXT_GENERATION, free(0, 0, 0, 0, 90),
        scavenge_in_background(4096), NEXT_GENERATION,
        scavenge_in_background(30), scavenge_in_background(4096), alloc(90),
        NEXT_GENERATION, free(0, 1, 0, 0, 480), scavenge_in_background(4096),
        NEXT_GENERATION, NEXT_GENERATION, scavenge_in_background(1),
        scavenge(4096)]),
    # The last generation's searches passed what this one's must find, above
    # what is freed.
    "sparse_by_a_free_below": (OS_4K_NO_HUGE, [
        grow(1, 0, 3), alloc(1536), free(1, 2, 500, 0, 12),
        scavenge_in_background(1), free(1, 2, 0, 0, 4), free(1, 2, 490, 0, 1),
        scavenge_in_background(1), NEXT_GENERATION, scavenge_in_background(3),
        take_in_background(5), free(1, 2, 20, 0, 60), NEXT_GENERATION,
        give_back(True), take_in_background(500), alloc(40), give_back(False),
        scavenge_in_background(4096)]),
    # One huge page of a chunk is nearly full, the other one has pages in use.
    "dense_huge_page": (OS_16K, [
        grow(2, 0, 2), alloc(800), free(2, 0, 10, 0, 8), free(2, 0, 300, 3, 64),
        free(2, 0, 400, 0, 50), scavenge_in_background(8),
        scavenge_in_background(4096), free(2, 0, 40, 0, 2), NEXT_GENERATION,
        scavenge_in_background(4096), scavenge(4096)]),
    # Pages in caches count as used, those that go back scavenged as free.
    "caches_and_generations": (OS_4K, [
        grow(0, 0, 1), alloc(512), free(0, 0, 0, 0, 30), scavenge(30),
        free(0, 0, 480, 0, 12), refill(0), scavenge_in_background(1),
        NEXT_GENERATION, flush(0), scavenge_in_background(1), NEXT_GENERATION,
        scavenge_in_background(4096), refill(1), cache_alloc(1, 3),
        NEXT_GENERATION, free(0, 0, 60, 0, 64), flush(1),
        scavenge_in_background(4096)]),
    # OS pages of 8 heap pages in both modes.
    "background_64k": (OS_64K, [
        grow(3, 0, 2), alloc(1024),
        *[free(3, 0, 64 * i + 5, 0, 30) for i in range(8)],
        scavenge_in_background(9), NEXT_GENERATION, scavenge_in_background(9),
        SCAVENGE_FAILING, take_in_background(8), give_back(True),
        scavenge(4096), scavenge_in_background(4096)]),
    "aligned": (OS_32K_NO_HUGE, [
        grow(0, 1, 8), grow(2, 0, 8),
        *[aligned(n, log) for log in (0, 1, 3, 6, 9, 10, 13)
          for n in (1, 9, 64)], alloc(1), alloc(7), alloc(64)]),
}

if __name__ == "__main__":
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                          "page_alloc_fuzz")
    for name, (sizes, steps) in SEEDS.items():
        with open(os.path.join(folder, name), "wb") as seed:
            seed.write(bytes([sizes]) + b"".join(steps))
