import { describe, expect, test } from "vitest";
import { isLoopback, parseEnv } from "../../api/env.ts";

function problem(variables: NodeJS.ProcessEnv): string {
  const parsed = parseEnv(variables);
  return parsed.ok ? "none" : parsed.problem;
}

describe("the environment", () => {
  test("has a default for everything", () => {
    expect(parseEnv({})).toEqual({
      ok: true,
      env: { host: "127.0.0.1", port: 3000, databaseUrl: "file:./data/syslab.db", adminToken: undefined, hosts: [], logLevel: "info" },
    });
  });

  test("is read in full", () => {
    const variables = {
      HOST: "0.0.0.0",
      PORT: "8080",
      DATABASE_URL: "file:/var/lib/syslab/lab.db",
      SYSLAB_ADMIN_TOKEN: "c2VjcmV0+/==",
      SYSLAB_HOSTS: "Lab.example.org, lab2.example.org:8443,",
      LOG_LEVEL: "debug",
    };
    expect(parseEnv(variables)).toEqual({
      ok: true,
      env: {
        host: "0.0.0.0",
        port: 8080,
        databaseUrl: "file:/var/lib/syslab/lab.db",
        adminToken: "c2VjcmV0+/==",
        hosts: ["lab.example.org", "lab2.example.org:8443"],
        logLevel: "debug",
      },
    });
  });

  test("takes an empty variable as unset", () => {
    expect(parseEnv({ PORT: "", SYSLAB_ADMIN_TOKEN: "", LOG_LEVEL: "" })).toEqual(parseEnv({}));
  });

  test.each([
    [{ PORT: "eighty" }, "PORT must be a number from 0 to 65535."],
    [{ PORT: "65536" }, "PORT must be a number from 0 to 65535."],
    [{ PORT: "-1" }, "PORT must be a number from 0 to 65535."],
    [{ PORT: "3000.5" }, "PORT must be a number from 0 to 65535."],
    [{ HOST: "bad host" }, "HOST must be a host name or an IP address."],
    [{ DATABASE_URL: "postgres://db" }, "DATABASE_URL must be file: and the path of the database."],
    [{ DATABASE_URL: "file:" }, "DATABASE_URL must be file: and the path of the database."],
    [{ DATABASE_URL: "file:a.db?connection_limit=1" }, "DATABASE_URL must be file: and the path of the database."],
    [{ DATABASE_URL: "file::memory:" }, "DATABASE_URL must name a file: sessions are to outlive the server."],
    [{ SYSLAB_ADMIN_TOKEN: "two words" }, "SYSLAB_ADMIN_TOKEN must consist of letters, digits and . _ ~ + / - only."],
    [{ SYSLAB_HOSTS: "a.example,http://b.example" }, "SYSLAB_HOSTS must be host names separated by commas."],
    [{ LOG_LEVEL: "loud" }, "LOG_LEVEL must be trace, debug, info, warn, error, fatal or silent."],
  ])("%j is told in one sentence", (variables, sentence) => {
    expect(problem(variables)).toBe(sentence);
  });

  test.each(["0.0.0.0", "::", "192.168.1.5", "lab.example.org", "[::]"])("listening on %s needs an admin token", (HOST) => {
    expect(problem({ HOST })).toMatch(/^HOST .* can be reached by others, so SYSLAB_ADMIN_TOKEN must be set\.$/);
    expect(problem({ HOST, SYSLAB_ADMIN_TOKEN: "t" })).toBe("none");
  });

  test.each(["127.0.0.1", "127.1.2.3", "localhost", "::1", "[::1]", "::ffff:127.0.0.1"])("listening on %s needs none", (HOST) => {
    expect(problem({ HOST })).toBe("none");
  });

  test("an address that only begins like loopback is not loopback", () => {
    expect(isLoopback("127.0.0.1.example.org")).toBe(false);
    expect(isLoopback("localhost.example.org")).toBe(false);
  });
});
