// tap's TypeScript plugin loads this module; our tests are compiled by tsc -b before tap sees them, so there is nothing to do.
