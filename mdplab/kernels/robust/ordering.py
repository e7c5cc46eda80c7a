"""Largest first, only as far as needed: a heap of indices, and the sort it gives."""

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
    """order (m,), indices into key (n,), sorted by key."""
    size = order.shape[0]
    heapify(key, order, 0, size)
    while size > 1:
        pop(key, order, 0, size)
        size -= 1
