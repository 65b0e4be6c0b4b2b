/** The part of autocannon's interface that the measurements use; the package brings no types. */
declare module "autocannon" {
  interface Options {
    url: string;
    method: string;
    headers: { [name: string]: string };
    body: string;
    connections: number;
    /** Seconds. */
    duration: number;
  }

  interface Result {
    /** Requests a second; their average over the seconds of the run. */
    requests: { average: number; total: number };
    /** Milliseconds. */
    latency: { p50: number; p99: number };
    errors: number;
    non2xx: number;
  }

  export default function autocannon(options: Options): Promise<Result>;
}
