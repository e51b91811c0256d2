shopkeeper:
  user.present:
    - gid: pickles
    - groups: [pickles]
