"""Indices by the size of their keys: all of them sorted, or from a heap the largest first, only as far as needed."""

import numpy as np

from mdplab.kernels._jit import kernel


@kernel
def sift(key, heap, base, size, root):
    """Let the entry at `root` sink to its place in the max-heap heap[base:base + size] of indices into key (n,)."""
    item = heap[base + root]
    value = key[item]
    child = 2 * root + 1
    while child < size:
        if child + 1 < size and key[heap[base + child + 1]] > key[heap[base + child]]:
            child += 1
        if key[heap[base + child]] <= value:
            break
        heap[base + root] = heap[base + child]
        root = child
        child = 2 * root + 1
    heap[base + root] = item


@kernel
def heapify(key, heap, base, size):
    """Make heap[base:base + size], indices into key (n,), a max-heap; O(size)."""
    for root in range(size // 2 - 1, -1, -1):
        sift(key, heap, base, size, root)


@kernel
def pop(key, heap, base, size):
    """The index of the largest key; it leaves heap[base:base + size], whose size the caller lowers by one."""
    top = heap[base]
    heap[base] = heap[base + size - 1]
    heap[base + size - 1] = top
    sift(key, heap, base, size - 1, 0)
    return top


@kernel
def sort_ascending(key, order):
    """order (m,), indices into key (n,), sorted by key: quicksort, short pieces by insertion."""
    pending = np.empty(128, dtype=np.int64)
    top, lo, hi = 0, 0, order.shape[0] - 1
    while True:
        if hi - lo < 16:
            for i in range(lo + 1, hi + 1):
                item = order[i]
                j = i
                while j > lo and key[order[j - 1]] > key[item]:
                    order[j] = order[j - 1]
                    j -= 1
                order[j] = item
            if top == 0:
                break
            top -= 2
            lo, hi = pending[top], pending[top + 1]
            continue
        # Values are often monotone or have one hump: the quartiles split both well, the ends and the middle do not.
        quarter = (hi - lo) // 4
        x, y, w = key[order[lo + quarter]], key[order[lo + 2 * quarter]], key[order[hi - quarter]]
        pivot = max(min(x, y), min(max(x, y), w))
        i, j = lo, hi
        while i <= j:
            while key[order[i]] < pivot:
                i += 1
            while key[order[j]] > pivot:
                j -= 1
            if i <= j:
                order[i], order[j] = order[j], order[i]
                i += 1
                j -= 1
        # The longer piece waits, so that at most log2(m) pieces do.
        if j - lo < hi - i:
            pending[top], pending[top + 1] = i, hi
            hi = j
        else:
            pending[top], pending[top + 1] = lo, j
            lo = i
        top += 2
