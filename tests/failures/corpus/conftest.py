"""What lies here are apps that are broken on purpose, with tests of their own that are to fail: no tests of ours."""

collect_ignore_glob = ["*"]
