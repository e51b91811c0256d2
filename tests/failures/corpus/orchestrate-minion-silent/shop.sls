settings:
  test.succeed_without_changes
