// @ts-check
/**
 * Views of the queue, as texts to compare: pure rules.
 *
 * @typedef {import("./words.js").Snapshot} Snapshot
 */

const NEAR = 2; // classes on each side that a person may step to

/** The filters of a snapshot. @param {Pick<Snapshot, "label" | "suggested" | "kind" | "source" | "side" | "status">} snapshot */
export const viewOf = ({ label, suggested, kind, source, side, status }) => JSON.stringify([label, suggested, kind, source, side, status]);

/** The filters when some of them are changed as a request asks. @param {Snapshot} snapshot @param {Record<string, any>} wish */
export const wishedView = (snapshot, { issue_kind: kind = snapshot.kind, ...wish }) => viewOf({ ...snapshot, ...wish, kind });

/** What is known of all pictures: the same text means that nothing was decided, moved or ranked anew between two snapshots. @param {Snapshot} snapshot */
export const stateOf = ({ line, order, counts }) => JSON.stringify([line, order, counts.total, counts.decided, counts.gone]);

/** The classes beside the one that is shown, as the filter lists them, the next ones first; null stands for all. @param {Snapshot} snapshot */
export function neighbours({ classes, label }) {
  const all = [null, ...classes.map((one) => one.label)];
  const place = all.indexOf(label);
  const steps = Array.from({ length: NEAR }, (_, order) => [place + order + 1, place - order - 1]).flat();
  return place < 0 ? [] : steps.filter((one) => one >= 0 && one < all.length).map((one) => all[one]);
}
