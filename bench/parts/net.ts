/** Echoes over the emulated loopback beside the same by Node's net module over the host's own. */
import { alternated, node } from "../run.ts";
import { time, times, type Row } from "../table.ts";

export function net(): Row[] {
  const { ours, peer } = alternated({ ours: () => node("ours/net.ts"), peer: () => node("peers/net.ts") });
  const trips = (what: string, mine: number, other: number): Row => ({
    what: `${what} (${Math.round(1e9 / mine).toLocaleString("en")} a second)`, ours: time(mine), peer: time(other), ratio: times(mine, other), aim: "1×",
  });
  const thousand = (what: string, mine: number, other: number): Row =>
    ({ what, ours: time(mine * 1000), peer: time(other * 1000), ratio: times(mine, other), aim: "1×" });
  return [
    trips("an echo of kecho, out and back", ours.kechoTrip, peer.trip),
    trips("the same of user-echo-server, which tells of it", ours.userTrip, peer.tellingTrip),
    thousand("1,000 connections at once, their threads made and joined, kecho", ours.kechoConnection, peer.connection),
    thousand("the same against user-echo-server", ours.userConnection, peer.tellingConnection),
  ];
}
