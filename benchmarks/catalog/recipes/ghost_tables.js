// Tell the tables of Ghost from the description that its own installer reads.
// Arguments: the description, the file to write.
const fs = require('fs');
const [description, file] = process.argv.slice(2);
const lines = [];
for (const [table, columns] of Object.entries(require(description))) {
    for (const [column, it] of Object.entries(columns)) {
        // @@UNIQUE_CONSTRAINTS@@ and the like stand among the columns.
        if (column.startsWith('@@')) { continue; }
        const type = it.maxlength ? `${it.type}(${it.maxlength})` : it.type;
        lines.push([table, column, type, it.nullable === true, it.primary === true, it.references || null]);
    }
}
fs.writeFileSync(file, JSON.stringify(lines));
