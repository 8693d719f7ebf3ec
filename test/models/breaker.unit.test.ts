import { describe, expect, it } from "vitest";
import { Breaker } from "../../src/models/breaker.ts";

describe("a circuit breaker", () => {
  it("opens after failures in a row, lets one call try, and goes by how that one ends", () => {
    let now = 0;
    const breaker = new Breaker({ failures: 2, openMs: 100 }, () => now);
    breaker.failed();
    breaker.succeeded();
    breaker.failed();
    expect(breaker.state).toBe("CLOSED");
    breaker.failed();
    expect([breaker.state, breaker.admits(), breaker.closedForMs]).toEqual(["OPEN", false, 100]);
    // A late failure of a call from before says nothing new.
    now = 50;
    breaker.failed(1000);
    expect(breaker.closedForMs).toBe(50);
    now = 100;
    expect([breaker.state, breaker.admits(), breaker.admits()]).toEqual(["HALF_OPEN", true, false]);
    breaker.left();
    expect(breaker.admits()).toBe(true);
    breaker.failed(500);
    expect([breaker.state, breaker.closedForMs]).toEqual(["OPEN", 500]);
    now = 600;
    expect(breaker.admits()).toBe(true);
    breaker.succeeded();
    expect([breaker.state, breaker.failures, breaker.admits()]).toEqual(["CLOSED", 0, true]);
  });

  it("never opens when told not to", () => {
    const breaker = new Breaker({ failures: 0, openMs: 100 }, () => 0);
    for (let i = 0; i < 100; i++) breaker.failed();
    expect([breaker.state, breaker.admits()]).toEqual(["CLOSED", true]);
  });
});
