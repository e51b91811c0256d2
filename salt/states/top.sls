# A server with a record gets its app. Identity is the minion id, proved by its key: the pillar depends on nothing else.
base:
  'brinepool:v:1':
    - match: pillar
    - app
