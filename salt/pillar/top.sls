# What a server is told comes from the ext_pillar `brinepool`. Pillar files of your own may be added here.
{}
