/**
 * Counts the tests in Vitest's JSON reports: `node .ci/verdict.mjs <folder of tests> <report>...`. Fails when a test
 * failed, when a file could not be loaded, and when a report or a file of tests is missing, because a suite that did not
 * run proves nothing.
 */
import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";

const [folder, ...reports] = process.argv.slice(2);
const faults = [];

function read(report) {
  try {
    return JSON.parse(readFileSync(report, "utf8"));
  } catch (fault) {
    faults.push(`${report} cannot be read: ${fault.message}`);
    return { numPassedTests: 0, numFailedTests: 0, testResults: [] };
  }
}

const runs = reports.map(read);
const results = runs.flatMap(({ testResults }) => testResults);
for (const { name, status, assertionResults } of results) {
  // Each failed test is counted; a file that failed before its first test has none.
  if (status === "failed" && assertionResults.length === 0) faults.push(`${name} could not be loaded`);
}
const ran = new Set(results.map(({ name }) => resolve(name)));
for (const path of readdirSync(folder, { recursive: true })) {
  if (path.endsWith(".test.ts") && !ran.has(resolve(folder, path))) faults.push(`${path} did not run`);
}

for (const fault of faults) console.error(fault);
const sum = (field) => runs.reduce((total, run) => total + run[field], 0);
const [passed, failed] = [sum("numPassedTests"), sum("numFailedTests") + faults.length];
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
