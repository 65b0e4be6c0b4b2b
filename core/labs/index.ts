/** The labs; importing them registers their modules. */

