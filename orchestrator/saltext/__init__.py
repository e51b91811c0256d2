"""Code that runs inside Salt: found by masters and minions through the entry point salt.loader."""
