import { getHeapStatistics } from "node:v8";

/** Each byte of a request can take up to eight while it is answered, and half of the heap is for all the rest. */
const heapShare = 1 / 16;
const bytesInFlightMin = 1_048_576;

export function shareOfHeap(): number {
  return Math.max(bytesInFlightMin, Math.floor(getHeapStatistics().heap_size_limit * heapShare));
}
