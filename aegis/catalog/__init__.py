"""Which columns are personal: names, types and structure first, then sampled values; every vote explained."""
