// Every limit on what a qcow2 file may make us read, keep or do, in one place. A file that asks for more is refused with
// kind `too-large` (or `corrupt` where the format itself forbids it), before anything is allocated.

const KIB = 1024;
const MIB = 1024 * KIB;

export const SMALLEST_CLUSTER_BITS = 9;
/** 2 MiB: the largest that other implementations read. */
export const LARGEST_CLUSTER_BITS = 21;
/** Subclusters are 1/32 of a cluster and at least a sector. */
export const SMALLEST_EXTENDED_CLUSTER_BITS = 14;

/** The active L1 table, kept in memory whole; the same limit as QEMU's. 64 KiB clusters reach 2 EiB with it. */
export const MOST_L1_BYTES = 32 * MIB;
/** The refcount table, kept in memory whole; the same limit as QEMU's. */
export const MOST_REFCOUNT_TABLE_BYTES = 8 * MIB;
/** Offsets and sizes are kept as doubles: exact up to here. */
export const MOST_OFFSET = Number.MAX_SAFE_INTEGER;

export const MOST_BACKING_NAME_BYTES = 1023;
export const MOST_FORMAT_NAME_BYTES = 64;

export const MOST_SNAPSHOTS = 65_536;
export const MOST_SNAPSHOT_TABLE_BYTES = 16 * MIB;
/** Extra data of one snapshot; 24 bytes are defined. */
export const MOST_SNAPSHOT_EXTRA_BYTES = 1024;

export const MOST_BITMAPS = 1024;
export const MOST_BITMAP_DIRECTORY_BYTES = 2 * MIB;
export const MOST_BITMAP_NAME_BYTES = 1023;
/** All bitmaps of an image that are in memory together: 1 PiB at a granularity of 64 KiB takes 2 GiB, 32 TiB this much. */
export const MOST_BITMAP_BYTES = 64 * MIB;
export const SMALLEST_GRANULARITY_BITS = 9;
export const LARGEST_GRANULARITY_BITS = 31;

/**
 * Metadata is cached in slices: whole tables of 2 MiB clusters would fill the cache with a few entries. 16 KiB of L2
 * entries describe 128 MiB of disk at 64 KiB clusters.
 */
export const SLICE_BYTES = 16 * KIB;
/** L2 slices in memory. With 64 KiB clusters 16 MiB describe 128 GiB of disk, 64 GiB with extended entries. */
export const L2_CACHE_BYTES = 16 * MIB;
/** Refcount slices in memory. With 64 KiB clusters and 16-bit refcounts 4 MiB describe 128 GiB of file. */
export const REFCOUNT_CACHE_BYTES = 4 * MIB;
/**
 * L2 and refcount slices, decompressed clusters and remembered depths of all images that a process has open, however long
 * their chains are; beyond it goes only what is dirty or being looked at, of which each image bounds its own.
 */
export const METADATA_MEMORY_BYTES = 64 * MIB;
/** L1 tables of all layers of a chain: 256 layers of 8 TiB at 64 KiB clusters, with room to spare. */
export const MOST_CHAIN_L1_BYTES = 128 * MIB;
/** Part of a cache that may be dirty before a commit is forced, which is then copied while it is written. */
export const MOST_DIRTY_SHARE = 0.5;
/** Clusters that wait to be freed by the next commit before one is forced. */
export const MOST_PENDING_FREES = 65_536;

/** Decompressed clusters kept, so that small reads in sequence decompress each only once. */
export const DECOMPRESSED_CACHE_BYTES = 2 * MIB;

/** Clusters of a file that `check` can count, 4 bytes each on demand: 8 TiB of file at 64 KiB clusters, 512 MiB at most. */
export const MOST_CHECKED_CLUSTERS = 2 ** 27;
/** L1 tables of internal snapshots that `check` reads in all. */
export const MOST_CHECKED_L1_BYTES = 256 * MIB;
/** Findings that `check` describes one by one; it counts all. */
export const MOST_CHECK_FINDINGS = 1000;

/** Runs that one call of `allocation` returns. */
export const MOST_RUNS = 4096;
/** Zeroes written at a time where a format without zero clusters, or a partial cluster, needs them as data. */
export const ZERO_BUFFER_BYTES = 64 * KIB;
