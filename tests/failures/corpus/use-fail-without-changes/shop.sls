"The role payments is not supported on this server; choose api or web.":
  test.fail_without_changes
