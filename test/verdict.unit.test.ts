import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";

/** A report of one run: by the name of each file, the states of its tests. */
type Report = Record<string, string[]>;

/** What `.ci/run` ends with, in a folder of these files of tests and with these reports. */
function verdictOf(files: string[], reports: (Report | undefined)[]) {
  const folder = mkdtempSync(join(tmpdir(), "tollgate-verdict-"));
  try {
    for (const file of files) writeFileSync(join(folder, file), "");
    const paths = reports.map((report, i) => {
      const path = join(folder, `${i}.json`);
      if (report) writeFileSync(path, JSON.stringify(asReport(folder, report)));
      return path;
    });
    const { stdout, status } = spawnSync(process.execPath, [".ci/verdict.mjs", folder, ...paths], { encoding: "utf8" });
    return { line: stdout.trim(), status };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function asReport(folder: string, report: Report) {
  const count = (state: string) =>
    Object.values(report)
      .flat()
      .filter((each) => each === state).length;
  const testResults = Object.entries(report).map(([file, states]) => ({
    name: join(folder, file),
    status: states.length > 0 && states.every((state) => state === "passed") ? "passed" : "failed",
    assertionResults: states.map((status) => ({ status })),
  }));
  return { numPassedTests: count("passed"), numFailedTests: count("failed"), testResults };
}

const files = ["a.unit.test.ts", "b.test.ts"];
const unit = { "a.unit.test.ts": ["passed", "passed"] };

it.each([
  ["adds up all reports", [unit, { "b.test.ts": ["passed"] }], "3 passed, 0 failed", 0],
  ["fails for a test that failed", [unit, { "b.test.ts": ["passed", "failed"] }], "3 passed, 1 failed", 1],
  ["fails for a file that could not be loaded", [unit, { "b.test.ts": [] }], "2 passed, 1 failed", 1],
  ["fails for a file that did not run", [unit, {}], "2 passed, 1 failed", 1],
  ["fails for a run without a report, and for its files", [unit, undefined], "2 passed, 2 failed", 1],
])("the verdict of a run %s", (_what, reports, line, status) => {
  expect(verdictOf(files, reports)).toEqual({ line, status });
});
