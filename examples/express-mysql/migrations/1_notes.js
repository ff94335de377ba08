/** The app's own tables: people it knows, who need no account, and notes of those who have one. */
export async function up(knex) {
  await knex.schema.createTable('users', (table) => {
    table.increments();
    table.string('nickname');
  });
  await knex.schema.createTable('notes', (table) => {
    table.increments();
    table
      .bigInteger('author')
      .unsigned()
      .notNullable()
      .references('auth_users.id')
      .onDelete('CASCADE');
    table.text('text').notNullable();
  });
}

export async function down(knex) {
  await knex.schema.dropTable('notes');
  await knex.schema.dropTable('users');
}
