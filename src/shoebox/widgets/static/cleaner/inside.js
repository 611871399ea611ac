// @ts-check
/** What the close look shows: the picture that was asked for, then the one that has the turn, as it stands now. */

/**
 * @param {{ask: ReturnType<typeof import("./line.js").createLine>,
 *   grid: ReturnType<typeof import("./grid.js").createGrid>,
 *   closeLook: ReturnType<typeof import("./closelook.js").createCloseLook>,
 *   complain: (error: unknown, what: string) => void}} parts
 */
export function createInside({ ask, grid, closeLook, complain }) {
  /** @param {string} path */
  async function show(path) {
    const item = grid.item(path);
    if (!item) return;
    if (!closeLook.isOpen || closeLook.path !== path) closeLook.open(item, grid.url(path));
    try {
      closeLook.fill(await ask("close_look", { path }), item);
    } catch (error) {
      closeLook.fail("The large picture and its history did not come: try again.");
      complain(error, "The picture cannot be shown in full");
    }
  }

  return {
    /** Open it, or close it when it shows this picture. @param {string} path */
    toggle(path) {
      if (closeLook.isOpen && closeLook.path === path) closeLook.close();
      else show(path);
    },

    /** Go on to the picture that has the turn now. */
    follow() {
      const path = grid.currentPath;
      if (path && path !== closeLook.path) show(path);
    },

    /** Once this is done, show the picture that it was about, as it stands now. @param {Promise<unknown>} done @param {string} [path] only if it still has the turn */
    async after(done, path) {
      await done;
      if (!closeLook.isOpen || !grid.currentPath || (path ?? grid.currentPath) !== grid.currentPath) return;
      closeLook.focus(); // it may have been on a question
      show(grid.currentPath);
    },
  };
}
